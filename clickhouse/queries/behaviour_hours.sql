-- behaviour_hours: when messages are sent
-- grain:  hour of the day and day of the week (1 = Monday), UTC
-- source: user_usage_1h; the window is taken in whole hours
-- units:  counts
SELECT toHour(hour) AS hour_of_day, toDayOfWeek(hour) AS weekday, sum(u.messages) AS messages, sum(u.llm_calls) AS llm_calls
FROM user_usage_1h AS u
WHERE
    tenant = {tenant:String}
    AND hour >= toStartOfHour(toDateTime({first_s:Int64}, 'UTC'))
    AND hour <= toDateTime({last_s:Int64}, 'UTC')
    AND ({user_id:String} = '' OR user_id = {user_id:String})
GROUP BY hour_of_day, weekday
HAVING messages > 0 OR llm_calls > 0
ORDER BY hour_of_day, weekday
