-- messages: messages of a window, newest first, with their usage
-- grain:  message; empty user_id and conversation_id parameters and an empty only_status list do not filter
-- source: messages, message_usage
-- units:  UTC; seconds, calls, tokens, USD
WITH recent AS
(
    SELECT *
    FROM messages AS m FINAL
    WHERE
        m.tenant = {tenant:String}
        AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND ({user_id:String} = '' OR m.user_id = {user_id:String})
        AND ({conversation_id:String} = '' OR m.conversation_id = {conversation_id:String})
        AND (empty({only_status:Array(String)}) OR has({only_status:Array(String)}, m.status))
    ORDER BY m.started_at DESC, m.message_id
    LIMIT {limit:UInt64}
)
SELECT
    any(r.started_at) AS started_at,
    r.message_id AS message_id,
    any(r.conversation_id) AS conversation_id,
    any(r.user_id) AS user_id,
    any(r.workflow) AS workflow,
    arrayStringConcat(any(r.models), ', ') AS models,
    arrayStringConcat(any(r.tools), ', ') AS tools,
    any(r.status) AS status,
    any(r.error_type) AS error_type,
    any(r.duration_ns) / 1e9 AS duration_s,
    sum(u.llm_calls) AS llm_calls,
    sum(u.input_tokens) AS input_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.cost_usd) AS cost_usd,
    any(r.correlation_id) AS correlation_id,
    r.trace_id AS trace_id
FROM recent AS r
LEFT JOIN
(
    SELECT *
    FROM message_usage
    WHERE tenant = {tenant:String} AND message_id IN (SELECT message_id FROM recent)
) AS u ON u.message_id = r.message_id AND u.trace_id = r.trace_id
GROUP BY message_id, trace_id
ORDER BY started_at DESC, message_id
