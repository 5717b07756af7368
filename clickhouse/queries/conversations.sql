-- conversations: a page of conversations, latest activity first
-- grain:  conversation
-- source: messages
-- units:  first_ns, last_ns since 1970 UTC; last_ns is the end of the last message
-- A conversation is listed when one of its messages started in the window; its figures are those of the whole conversation.
-- (before_ns, before_id): the last row of the page before; user_id '' does not filter.
SELECT
    conversation_id,
    argMaxIf(user_id, started_at, user_id != '') AS last_user,
    sum(m.counted) AS message_count,
    min(toUnixTimestamp64Nano(started_at)) AS first_ns,
    max(toUnixTimestamp64Nano(started_at) + duration_ns) AS last_ns,
    argMax(m.status, started_at) AS last_status,
    arraySort(groupUniqArrayArray(models)) AS all_models
FROM messages AS m FINAL
WHERE tenant = {tenant:String} AND conversation_id != ''
GROUP BY conversation_id
HAVING
    countIf(
        started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND ({user_id:String} = '' OR user_id = {user_id:String})
    ) > 0
    AND (last_ns, conversation_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY last_ns DESC, conversation_id DESC
LIMIT {limit:UInt64}
