-- behaviour_users: how many users, sessions and messages; a session is a conversation of a user
-- grain:  one row
-- source: messages
-- units:  counts; messages are those of users and assistants
SELECT
    uniqExactIf(sipHash64(m.user_id), m.user_id != '') AS users,
    uniqExactIf(sipHash64(m.user_id, m.conversation_id), m.conversation_id != '') AS sessions,
    sum(m.counted) AS messages,
    sumIf(m.counted, m.conversation_id != '') AS session_messages,
    countIf(m.status = 'error') AS failed
FROM messages AS m FINAL
WHERE
    m.tenant = {tenant:String}
    AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
