-- messages_by_user, what the ledger held before there was a view for it. Where something is in the table already nothing
-- happens: what an interrupted run left out is posted by the recovery of the next start.
INSERT INTO messages_by_user (tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status, messages)
SELECT tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status,
    sum(messages)
FROM ledger
WHERE (SELECT count() FROM messages_by_user) = 0 AND kind = 'message'
GROUP BY tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status
