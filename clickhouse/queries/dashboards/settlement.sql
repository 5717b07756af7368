-- settlement: what was received in the last hour and is not in the books yet, and when they were written last
-- grain:  one row
-- source: genai_spans, ledger
-- units:  traces, spans, seconds before the end of the window; 0 s when nothing waits
-- Settlement writes a span again when it has read it, with normalised = 1. (It keeps its work in settle_queue, which
-- readers of one tenant may not see.)
WITH waiting AS
(
    SELECT s.trace_id AS trace_id, min(s.received_at) AS received
    FROM genai_spans AS s
    WHERE
        s.tenant = {tenant:String}
        AND s.received_at >= fromUnixTimestamp64Nano({last_ns:Int64} - 3600000000000)
        AND s.received_at <= fromUnixTimestamp64Nano({last_ns:Int64})
    GROUP BY s.trace_id, s.span_id
    HAVING max(s.normalised) = 0
)
SELECT
    uniqExact(w.trace_id) AS waiting_traces,
    count() AS waiting_spans,
    if(count() = 0, 0, {last_ns:Int64} / 1e9 - toUnixTimestamp64Milli(min(w.received)) / 1e3) AS oldest_waiting_s,
    {last_ns:Int64} / 1e9
        - (SELECT toUnixTimestamp64Micro(max(posted_at)) / 1e6 FROM ledger WHERE tenant = {tenant:String}) AS since_last_entry_s
FROM waiting AS w
