-- agent_runs: the runs of an agent, the failed ones by their error
-- grain:  error type; '' are those that did well; the first row, error_type '*', is all of them
-- source: messages
-- units:  runs, ns
SELECT
    if(grouping(m.error) = 1, '*', m.error) AS error_type,
    count() AS runs,
    countIf(m.status = 'error') AS failures,
    uniqExact(m.conversation_id) AS conversations,
    uniqExactIf(m.user_id, m.user_id != '') AS users,
    quantilesExact(0.5, 0.95, 0.99)(m.duration_ns) AS latency_ns
FROM
(
    SELECT conversation_id, user_id, status, duration_ns, if(status = 'error', error_type, '') AS error
    FROM messages FINAL
    WHERE
        tenant = {tenant:String}
        AND agent = {agent:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
) AS m
GROUP BY GROUPING SETS ((m.error), ())
ORDER BY error_type = '*' DESC, runs DESC, error_type
LIMIT 101
