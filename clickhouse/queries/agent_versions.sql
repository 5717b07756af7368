-- agent_versions: the runs of an agent of this service by its version
-- grain:  version, the newest first
-- source: otel_traces, the spans `invoke_agent <name>`; kept as long as otel_traces are
-- units:  runs, ns, ns since 1970 UTC
SELECT
    toUInt32OrZero(s.version) AS version,
    count() AS runs,
    countIf(s.StatusCode = 'Error') AS failures,
    quantilesExact(0.5, 0.95, 0.99)(s.Duration) AS latency_ns,
    min(toUnixTimestamp64Nano(s.Timestamp)) AS first_run_ns,
    max(toUnixTimestamp64Nano(s.Timestamp)) AS last_run_ns
FROM
(
    SELECT SpanAttributes['gen_ai.agent.version'] AS version, StatusCode, Duration, Timestamp
    FROM otel_traces
    WHERE
        Tenant = {tenant:String}
        AND SpanName = concat('invoke_agent ', {agent:String})
        AND SpanAttributes['gen_ai.agent.id'] != ''
        AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    LIMIT 1 BY TraceId, SpanId
) AS s
GROUP BY version
ORDER BY version DESC
LIMIT 1000
