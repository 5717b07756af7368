-- users_trend: what some users' calls cost, by day
-- grain:  user, day
-- source: user_usage_1d
-- units:  USD
SELECT user_id, toString(user_usage_1d.day) AS on_day, sum(cost_usd) AS cost_usd
FROM user_usage_1d
WHERE tenant = {tenant:String} AND user_id IN {users:Array(String)}
    AND day >= toDate(toDateTime({first_s:UInt32}, 'UTC'), 'UTC')
    AND day <= toDate(toDateTime({last_s:UInt32}, 'UTC'), 'UTC')
GROUP BY user_id, on_day
ORDER BY user_id, on_day DESC
LIMIT 90 BY user_id
