-- explain_places: the first calls and messages behind a figure, those whose entries cancel out too
-- grain:  place of a call or message: started_ns, trace_id, span_id ('' for a message)
-- source: ledger
-- units:  started_ns since 1970 UTC
-- calls: how many; (after_ns, after_trace, after_span): the last call of the page before
-- Few columns of all entries are read here; explain_entries reads all columns of these places.
SELECT DISTINCT toUnixTimestamp64Nano(started_at) AS started_ns, trace_id, span_id
FROM ledger
WHERE
    -- include parts/explained_entries
    AND (started_at, trace_id, span_id) > (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_trace:String}, {after_span:String})
ORDER BY started_at, trace_id, span_id
LIMIT {calls:UInt32}
