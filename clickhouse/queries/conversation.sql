-- conversation: some conversations from their messages
-- grain:  conversation; no row when it has no message
-- source: messages
-- units:  first_ns, last_ns since 1970 UTC; last_ns is the end of the last message
-- message_count: the user's message of every exchange, and the assistant's where it did not fail; people's one by one
SELECT
    conversation_id,
    argMaxIf(user_id, started_at, user_id != '') AS last_user,
    sum(m.counted) AS message_count,
    min(toUnixTimestamp64Nano(started_at)) AS first_ns,
    max(toUnixTimestamp64Nano(started_at) + duration_ns) AS last_ns,
    argMax(m.status, started_at) AS last_status,
    arraySort(groupUniqArrayArray(models)) AS all_models
FROM messages AS m FINAL
WHERE tenant = {tenant:String} AND conversation_id IN {conversation_ids:Array(String)}
GROUP BY conversation_id
