-- alert_ingest_lag: how far spans are behind
-- grain:  stage: receipt (95th percentile from a span's end to its receipt, of the window), settlement (age of the oldest
--         span of the last hour that settlement has not read: it writes a span again, with normalised = 1)
-- source: otel_traces, genai_spans
-- units:  seconds
SELECT
    'receipt' AS stage,
    ifNotFinite(quantile(0.95)((toUnixTimestamp64Milli(ReceivedAt) - toUnixTimestamp64Nano(Timestamp) / 1e6 - Duration / 1e6) / 1e3), 0) AS lag_s
FROM otel_traces
WHERE ReceivedAt >= fromUnixTimestamp64Nano({first_ns:Int64}) AND ReceivedAt <= fromUnixTimestamp64Nano({last_ns:Int64})
UNION ALL
SELECT
    'settlement' AS stage,
    if(count() = 0, 0, {last_ns:Int64} / 1e9 - toUnixTimestamp64Milli(min(w.received)) / 1e3) AS lag_s
FROM
(
    SELECT min(s.received_at) AS received
    FROM genai_spans AS s
    WHERE
        s.received_at >= fromUnixTimestamp64Nano({last_ns:Int64} - 3600000000000)
        AND s.received_at <= fromUnixTimestamp64Nano({last_ns:Int64})
    GROUP BY s.tenant, s.trace_id, s.span_id
    HAVING max(s.normalised) = 0
) AS w
