-- failed_traces: the traces of the newest failed spans of a window
-- grain:  trace
-- source: genai_spans
-- newest: how many failed spans are looked at
SELECT DISTINCT trace_id
FROM
(
    SELECT trace_id
    FROM genai_spans
    WHERE
        tenant = {tenant:String}
        AND status = 'error'
        AND normalised = 1
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY started_at DESC
    LIMIT {newest:UInt64}
)
