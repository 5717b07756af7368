-- message: what is known of a message beside its usage
-- grain:  message; newest first when conversations share a message id
-- source: messages; message_usage, whose key starts with the message, supplies the conversation
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
    AND conversation_id IN (
        SELECT conversation_id FROM message_usage WHERE tenant = {tenant:String} AND message_id = {message_id:String}
    )
    AND message_id = {message_id:String}
ORDER BY started_at DESC
LIMIT 1
