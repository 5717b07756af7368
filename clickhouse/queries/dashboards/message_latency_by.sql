-- message_latency_by: how long messages took, by one dimension, slowest first
-- grain:  value of the dimension
-- source: messages
-- units:  messages; seconds
-- by: service, workflow, agent or status. An empty only_* list does not filter.
SELECT
    m.{by:Identifier} AS series,
    count() AS count,
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
GROUP BY series
ORDER BY p95_s DESC, series
