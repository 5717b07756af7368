-- conversations_ends: where the messages of a window begin and end
-- grain:  two rows, or none
-- source: message_times, a granule at each end
-- units:  ns since 1970 UTC
SELECT toUnixTimestamp64Nano(started_at) AS at_ns FROM
(
    SELECT started_at FROM message_times
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY started_at
    LIMIT 1
)
UNION ALL
SELECT toUnixTimestamp64Nano(started_at) AS at_ns FROM
(
    SELECT started_at FROM message_times
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY started_at DESC
    LIMIT 1
)
