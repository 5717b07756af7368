-- behaviour_retention: of those who came first in a week, how many came in the weeks after it
-- grain:  week of the first message (Monday, UTC) and weeks since
-- source: user_usage_1h, of all time: who came before the window is not new in it
-- units:  users
SELECT
    toString(cohort) AS cohort_week,
    intDiv(dateDiff('day', cohort, week), 7) AS weeks_since,
    count() AS users
FROM
(
    SELECT user_id, min(week) OVER (PARTITION BY user_id) AS cohort, week
    FROM
    (
        SELECT user_id, toMonday(hour) AS week
        FROM user_usage_1h AS u
        WHERE tenant = {tenant:String} AND user_id != '' AND hour <= toDateTime({last_s:Int64}, 'UTC')
        GROUP BY user_id, week
        HAVING sum(u.messages) > 0
    )
)
WHERE cohort >= toMonday(toDateTime({first_s:Int64}, 'UTC'))
GROUP BY cohort, weeks_since
ORDER BY cohort, weeks_since
