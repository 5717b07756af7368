-- traces_of_conversation_spans: the traces of a conversation's messages, and all with a span that names it, oldest first
-- grain:  trace
-- source: messages and genai_spans
SELECT trace_id
FROM
(
    SELECT trace_id, started_at FROM messages FINAL
    WHERE tenant = {tenant:String} AND conversation_id = {conversation_id:String} AND trace_id != ''
    UNION ALL
    SELECT trace_id, started_at FROM genai_spans
    WHERE tenant = {tenant:String} AND conversation_id = {conversation_id:String}
)
GROUP BY trace_id
ORDER BY min(started_at), trace_id
LIMIT {limit:UInt64}
