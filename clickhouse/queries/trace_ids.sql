-- trace_ids: the next traces in the order of their ids
-- grain:  trace with a span that started in the window
-- source: genai_spans, which has every span
-- units:  ns since 1970 UTC
SELECT trace_id
FROM genai_spans
WHERE
    tenant = {tenant:String}
    AND trace_id > {after:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
GROUP BY trace_id
ORDER BY trace_id
LIMIT {limit:UInt32}
