-- month_spend: the spend of the calendar month (UTC) in which the window ends, and where it is heading
-- grain:  one row
-- source: usage_1m
-- units:  USD, share of the budget 0..1 (NULL without a budget)
-- projected: what is spent, and the rest of the month at the pace of the last 24 hours
WITH
    toDateTime({last_s:UInt32}, 'UTC') AS now_,
    toStartOfMonth(now_) AS month,
    toDecimal128OrZero({budget_usd:String}, 15) AS budget
SELECT
    sumIf(u.cost_usd, u.minute >= month) AS spent_usd,
    sumIf(u.cost_usd, u.minute > now_ - 86400) AS last_day_usd,
    spent_usd + last_day_usd * dateDiff('second', now_, toDateTime(addMonths(month, 1), 'UTC')) / 86400 AS projected_usd,
    budget AS budget_usd,
    toFloat64(spent_usd) / nullIf(toFloat64(budget), 0) AS spent_share,
    toFloat64(projected_usd) / nullIf(toFloat64(budget), 0) AS projected_share
FROM usage_1m AS u
WHERE u.tenant = {tenant:String} AND u.minute >= least(toDateTime(month, 'UTC'), now_ - 86400) AND u.minute <= now_
