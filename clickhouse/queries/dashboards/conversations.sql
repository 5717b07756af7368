-- conversations: conversations with a message in a window, latest activity first, with their whole usage
-- grain:  conversation; empty user_id and conversation_id parameters do not filter
-- source: messages, conversation_usage
-- units:  UTC; exchanges, calls, tokens, USD
WITH recent AS
(
    SELECT
        m.conversation_id AS conversation_id,
        argMax(m.user_id, m.started_at) AS last_user,
        argMax(m.workflow, m.started_at) AS last_workflow,
        min(m.started_at) AS first_at,
        max(m.started_at) AS last_at,
        count() AS exchanges,
        countIf(m.status = 'error') AS failed_exchanges
    FROM messages AS m FINAL
    WHERE
        m.tenant = {tenant:String}
        AND m.conversation_id != ''
        AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND ({user_id:String} = '' OR m.user_id = {user_id:String})
        AND ({conversation_id:String} = '' OR m.conversation_id = {conversation_id:String})
    GROUP BY conversation_id
    ORDER BY last_at DESC, conversation_id
    LIMIT {limit:UInt64}
)
SELECT
    r.conversation_id AS conversation_id,
    any(r.last_user) AS user_id,
    any(r.last_workflow) AS workflow,
    any(r.first_at) AS first_at,
    any(r.last_at) AS last_at,
    any(r.exchanges) AS exchanges,
    any(r.failed_exchanges) AS failed_exchanges,
    sum(u.llm_calls) AS llm_calls,
    sum(u.input_tokens) AS input_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.cost_usd) AS cost_usd,
    sum(u.unpriced_calls) AS unpriced_calls
FROM recent AS r
LEFT JOIN
(
    SELECT *
    FROM conversation_usage
    WHERE tenant = {tenant:String} AND conversation_id IN (SELECT conversation_id FROM recent)
) AS u ON u.conversation_id = r.conversation_id
GROUP BY conversation_id
ORDER BY last_at DESC, conversation_id
