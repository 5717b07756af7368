-- user_counts: how many users were active, and how the spend is spread over them
-- grain:  one row
-- source: user_usage_1h
-- units:  users, USD, share 0..1
SELECT
    count() AS active_users,
    sum(p.cost) / nullIf(count(), 0) AS cost_per_user_usd,
    quantileExact(0.99)(p.cost) AS p99_cost_usd,
    toFloat64(arraySum(arraySlice(arrayReverseSort(groupArray(p.cost)), 1, toUInt64(ceil(count() / 10)))))
        / nullIf(toFloat64(sum(p.cost)), 0) AS top_tenth_share
FROM
(
    SELECT u.user_id, sum(u.cost_usd) AS cost
    FROM user_usage_1h AS u
    WHERE
        u.tenant = {tenant:String}
        AND u.hour >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC'))
        AND u.hour <= toDateTime({last_s:UInt32}, 'UTC')
        AND ({user_id:String} = '' OR u.user_id = {user_id:String})
        AND u.user_id != ''
    GROUP BY u.user_id
) AS p
