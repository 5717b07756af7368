-- conversations_of_user: a page of conversations of one user, the one with the latest message of the window first
-- grain:  conversation whose last message of [first_ns, last_ns] by this user started in [begin_ns, end_ns]
-- source: messages_by_user
-- units:  last_ns since 1970 UTC: the start of that message
-- (before_ns, before_id): the last row of the page before.
SELECT conversation_id, max(started_ns) AS last_ns
FROM
(
    SELECT conversation_id, message_id, toUnixTimestamp64Nano(started_at) AS started_ns
    FROM messages_by_user
    WHERE
        tenant = {tenant:String}
    AND user_id = {user_id:String}
        AND conversation_id != ''
        AND started_at >= fromUnixTimestamp64Nano({begin_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')
    GROUP BY conversation_id, message_id, started_at
    HAVING sum(messages) > 0
)
WHERE conversation_id NOT IN
(
    SELECT conversation_id FROM messages_by_user
    WHERE
        tenant = {tenant:String}
    AND user_id = {user_id:String}
        AND started_at > fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY conversation_id, message_id, started_at
    HAVING sum(messages) > 0
)
GROUP BY conversation_id
HAVING (last_ns, conversation_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY last_ns DESC, conversation_id DESC
LIMIT {limit:UInt64}
