-- compare_peers: what the messages or conversations of a stretch of time cost, each
-- grain:  message or conversation
-- source: calls_by_time
-- units:  calls, USD
-- by: message or conversation. Peers are of one service and, where it is not empty, one workflow.
SELECT
    if({by:String} = 'message', message_id, conversation_id) AS id,
    sum(l.llm_calls) AS llm_calls,
    sum(l.unpriced_calls) AS unpriced_calls,
    sum(l.cost_usd) AS cost_usd
FROM calls_by_time AS l
WHERE
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND workflow = {workflow:String}
    AND ({workflow:String} != '' OR service = {service:String})
    AND kind = 'call'
    AND id != ''
GROUP BY id
HAVING llm_calls > 0
