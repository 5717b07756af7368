-- pending_spans: whether anything of some traces waits for settlement, and since when
-- grain:  one row
-- source: settle_queue, genai_spans
-- units:  since_ms since 1970 UTC, 0 where nothing waits
SELECT toInt64(if(count() = 0, 0, greatest(1, toUnixTimestamp64Milli(max(received_at))))) AS since_ms
FROM genai_spans
WHERE
    tenant = {tenant:String}
    AND trace_id IN
    (
        SELECT trace_id FROM settle_queue
        WHERE tenant = {tenant:String} AND trace_id IN {trace_ids:Array(String)}
        GROUP BY trace_id
        HAVING sum(pending) != 0
    )
    AND trace_id IN {trace_ids:Array(String)}
