-- behaviour_users: how many users, sessions and messages; a session is a conversation of a user
-- grain:  one row
-- source: messages_by_user
-- units:  counts; messages are those of users and assistants; a message that failed has no answer and counts one
-- user_id '' does not filter
SELECT
    uniqExactIf(s.user, s.user != 0) AS users,
    countIf(s.conversation != 0) AS sessions,
    sum(s.counted) AS messages,
    sumIf(s.counted, s.conversation != 0) AS session_messages,
    sum(s.of_failed) AS failed
FROM
(
    SELECT
        if(user_id = '', 0, sipHash64(user_id)) AS user,
        if(conversation_id = '', 0, sipHash64(user_id, conversation_id)) AS conversation,
        sum(m.messages) AS counted,
        sumIf(m.messages, m.status = 'error') AS of_failed
    FROM messages_by_user AS m
    WHERE
        m.tenant = {tenant:String}
        AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND ({user_id:String} = '' OR m.user_id = {user_id:String})
    GROUP BY user, conversation
    HAVING counted > 0
) AS s
