-- conversation_messages: the messages of one conversation
-- grain:  message, in time order, after the message (after_ns, after_id)
-- source: messages
-- units:  started_ns since 1970 UTC, duration in ns
SELECT
    message_id,
    conversation_id,
    user_id,
    trace_id,
    correlation_id,
    toUnixTimestamp64Nano(started_at) AS started_ns,
    duration_ns,
    service,
    workflow,
    agent,
    providers,
    models,
    tools,
    status,
    error_type
FROM messages FINAL
WHERE
    tenant = {tenant:String}
    AND conversation_id = {conversation_id:String}
    AND (toUnixTimestamp64Nano(started_at), message_id) > ({after_ns:Int64}, {after_id:String})
ORDER BY started_at, message_id
LIMIT {limit:UInt64}
