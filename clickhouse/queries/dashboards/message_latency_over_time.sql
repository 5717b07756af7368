-- message_latency_over_time: how long messages took
-- grain:  bucket
-- source: messages
-- units:  UTC seconds; seconds
-- An empty only_* list does not filter.
SELECT
    toDateTime(intDiv(toUnixTimestamp(m.started_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    quantileExact(0.5)(m.duration_ns) / 1e9 AS p50_s,
    quantileExact(0.95)(m.duration_ns) / 1e9 AS p95_s,
    quantileExact(0.99)(m.duration_ns) / 1e9 AS p99_s
FROM messages AS m FINAL
WHERE
    m.tenant = {tenant:String}
    AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND (empty({only_service:Array(String)}) OR has({only_service:Array(String)}, m.service))
    AND (empty({only_workflow:Array(String)}) OR has({only_workflow:Array(String)}, m.workflow))
GROUP BY time
ORDER BY time
