-- messages_by_user_mv: posts every ledger entry that it concerns to messages_by_user within the insert.
CREATE MATERIALIZED VIEW IF NOT EXISTS messages_by_user_mv TO messages_by_user AS
SELECT
    tenant,
    user_id,
    started_at,
    conversation_id,
    message_id,
    trace_id,
    service,
    workflow,
    agent,
    status,
    sum(l.messages) AS messages
FROM ledger AS l
WHERE kind = 'message'
GROUP BY tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status
