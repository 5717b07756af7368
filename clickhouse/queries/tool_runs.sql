-- tool_runs: how often tools ran, how often they failed, how long they took
-- grain:  tool and bucket, by time
-- source: ledger
-- units:  runs, ns; bucket in seconds since 1970 UTC
-- An empty only_* list does not filter; bucket_s = 0: one bucket. A run may have several entries, whose sum is the truth.
SELECT
    r.name AS tool,
    r.bucket AS bucket,
    sum(r.runs) AS calls,
    sum(r.failures) AS failed_calls,
    quantilesExact(0.5, 0.95, 0.99)(r.took_ns) AS latency_ns
FROM
(
    SELECT
        argMaxIf(l.tool, l.posted_at, l.tool_calls > 0) AS name,
        if({bucket_s:Int64} = 0, 0, intDiv(intDiv(toUnixTimestamp64Nano(argMaxIf(l.started_at, l.posted_at, l.tool_calls > 0)), 1000000000), {bucket_s:Int64}) * {bucket_s:Int64}) AS bucket,
        sum(l.tool_calls) AS runs,
        sum(l.failed_tool_calls) AS failures,
        sum(l.duration_ns) AS took_ns
    FROM ledger AS l
    WHERE
        l.tenant = {tenant:String}
        AND l.kind = 'tool'
        AND l.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND l.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND (empty({only_tool:Array(String)}) OR has({only_tool:Array(String)}, l.tool))
        AND (empty({only_agent:Array(String)}) OR has({only_agent:Array(String)}, l.agent))
    GROUP BY l.trace_id, l.span_id
    HAVING runs > 0
) AS r
GROUP BY tool, bucket
ORDER BY bucket, calls DESC, tool
LIMIT {limit:UInt64}
