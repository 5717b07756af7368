-- conversations_of_user_ends: where the messages of a window begin and end for one user
-- grain:  two rows, or none
-- source: messages_by_user, a granule at each end
-- units:  ns since 1970 UTC
SELECT toUnixTimestamp64Nano(started_at) AS at_ns FROM
(
    SELECT started_at FROM messages_by_user
    WHERE
        tenant = {tenant:String} AND user_id = {user_id:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY started_at
    LIMIT 1
)
UNION ALL
SELECT toUnixTimestamp64Nano(started_at) AS at_ns FROM
(
    SELECT started_at FROM messages_by_user
    WHERE
        tenant = {tenant:String} AND user_id = {user_id:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY started_at DESC
    LIMIT 1
)
