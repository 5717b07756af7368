-- latency_by: how long calls or tools took, by one dimension, slowest first
-- grain:  value of the dimension
-- source: ledger
-- units:  count; seconds
-- Durations are taken in steps of 2 %. A corrected entry stands in the ledger with the opposite sign, so its duration leaves the
-- distribution again: entries weigh +1 or -1, money-only entries (re-pricing) nothing.
-- kind: call or tool. An empty only_* list does not filter.
-- by: a dimension of the ledger
SELECT
    h.series AS series,
    sum(h.weight) AS count,
    quantileExactWeightedIf(0.5)(h.took_s, toUInt64(h.weight), h.weight > 0) AS p50_s,
    quantileExactWeightedIf(0.95)(h.took_s, toUInt64(h.weight), h.weight > 0) AS p95_s,
    quantileExactWeightedIf(0.99)(h.took_s, toUInt64(h.weight), h.weight > 0) AS p99_s
FROM
(
    SELECT
        {by:Identifier} AS series,
        exp(round(log(greatest(abs(l.duration_ns), 1)) / 0.02) * 0.02) / 1e9 AS took_s,
        sum(sign(l.llm_calls + l.failed_calls + l.tool_calls + l.failed_tool_calls)) AS weight
    FROM ledger AS l
    WHERE
        l.tenant = {tenant:String}
        AND l.kind = {kind:String}
        AND l.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND l.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND (empty({only_service:Array(String)}) OR has({only_service:Array(String)}, l.service))
        AND (empty({only_provider:Array(String)}) OR has({only_provider:Array(String)}, l.provider))
        AND (empty({only_model:Array(String)}) OR has({only_model:Array(String)}, l.model))
        AND (empty({only_workflow:Array(String)}) OR has({only_workflow:Array(String)}, l.workflow))
    GROUP BY series, took_s
) AS h
GROUP BY series
HAVING count > 0
ORDER BY p95_s DESC, series
