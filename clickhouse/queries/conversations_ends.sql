-- conversations_ends: where the messages of a window begin and end
-- grain:  one row
-- source: message_times
-- units:  ns since 1970 UTC; 0 where there are none
SELECT toUnixTimestamp64Nano(min(started_at)) AS first_ns, toUnixTimestamp64Nano(max(started_at)) AS last_ns, toInt64(count()) AS entries
FROM message_times
WHERE
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
