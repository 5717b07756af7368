-- conversation_ids: the next conversations in the order of their ids
-- grain:  conversation with a message in the window (of one of the users, where any are named)
-- source: messages
-- units:  ns since 1970 UTC
SELECT conversation_id
FROM messages FINAL
WHERE
    tenant = {tenant:String}
    AND conversation_id > {after:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND (empty({users:Array(String)}) OR user_id IN {users:Array(String)})
GROUP BY conversation_id
ORDER BY conversation_id
LIMIT {limit:UInt32}
