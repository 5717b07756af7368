-- behaviour_user: how many sessions and messages a user has; a session is a conversation
-- grain:  one row
-- source: messages_by_user
-- units:  counts; messages are those of users and assistants; a message that failed has no answer and counts one
SELECT
    toUInt64(count() > 0) AS users,
    countIf(s.conversation != '') AS sessions,
    sum(s.counted) AS messages,
    sumIf(s.counted, s.conversation != '') AS session_messages,
    sum(s.of_failed) AS failed
FROM
(
    SELECT conversation_id AS conversation, sum(m.messages) AS counted, sumIf(m.messages, m.status = 'error') AS of_failed
    FROM messages_by_user AS m
    WHERE
        m.tenant = {tenant:String}
        AND m.user_id = {user_id:String}
        AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY conversation
    HAVING counted > 0
) AS s
