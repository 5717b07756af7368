-- traces_of_conversation: the traces of a conversation's messages, oldest first
-- grain:  trace
-- source: messages
SELECT trace_id
FROM messages FINAL
WHERE tenant = {tenant:String} AND conversation_id = {conversation_id:String} AND trace_id != ''
GROUP BY trace_id
ORDER BY min(started_at), trace_id
LIMIT {limit:UInt64}
