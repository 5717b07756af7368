-- explain_traces: the traces of the first calls behind a figure
-- grain:  trace
-- source: ledger
-- units:  none
-- calls: how many; (after_ns, after_trace, after_span): the last call of the page before
-- Few columns of all entries are read here; explain_entries reads all columns of these traces.
SELECT DISTINCT trace_id
FROM
(
    SELECT DISTINCT started_at, trace_id, span_id
    FROM ledger
    WHERE
        -- include parts/explained_entries
        AND (started_at, trace_id, span_id) > (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_trace:String}, {after_span:String})
    ORDER BY started_at, trace_id, span_id
    LIMIT {calls:UInt32}
)
