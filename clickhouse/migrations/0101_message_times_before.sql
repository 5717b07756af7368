-- message_times, what the ledger held before there was a view for it. Where something is in the table already nothing
-- happens: what an interrupted run left out is posted by the recovery of the next start.
INSERT INTO message_times (tenant, started_at, conversation_id, message_id, messages)
SELECT tenant, started_at, conversation_id, message_id,
    sum(messages)
FROM ledger
WHERE (SELECT count() FROM message_times) = 0 AND kind = 'message'
GROUP BY tenant, started_at, conversation_id, message_id
