-- traces_of_conversations: the traces of the messages of some conversations, oldest first
-- grain:  trace of a conversation
-- source: messages
SELECT conversation_id, trace_id
FROM messages FINAL
WHERE tenant = {tenant:String} AND conversation_id IN {conversation_ids:Array(String)} AND trace_id != ''
GROUP BY conversation_id, trace_id
ORDER BY min(started_at), trace_id
LIMIT {limit:UInt64} BY conversation_id
