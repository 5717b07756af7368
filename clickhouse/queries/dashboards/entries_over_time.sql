-- entries_over_time: ledger entries as they were posted
-- grain:  bucket and reason (settle, repair, reprice, undo)
-- source: ledger
-- units:  UTC seconds; entries, USD
SELECT
    toDateTime(intDiv(toUnixTimestamp(l.posted_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    l.reason AS series,
    count() AS entries,
    sum(l.cost_usd) AS cost_usd
FROM ledger AS l
WHERE
    l.tenant = {tenant:String}
    AND l.posted_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND l.posted_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
GROUP BY time, series
ORDER BY time, series
