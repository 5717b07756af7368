-- realtime_longest: the longest duration of a row of the calls that began in a stretch of time
-- grain:  one row
-- source: calls_by_time; a corrected call may have several rows, which add up
-- units:  ns
SELECT max(abs(duration_ns)) AS longest_ns
FROM calls_by_time
WHERE
    tenant = {tenant:String}
    AND kind IN ('call', 'tool')
    AND started_at >= fromUnixTimestamp64Nano({started_first_ns:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
