-- message_times_mv: posts every ledger entry that it concerns to message_times within the insert.
CREATE MATERIALIZED VIEW IF NOT EXISTS message_times_mv TO message_times AS
SELECT
    tenant,
    started_at,
    conversation_id,
    message_id,
    sum(l.messages) AS messages
FROM ledger AS l
WHERE kind = 'message'
GROUP BY tenant, started_at, conversation_id, message_id
