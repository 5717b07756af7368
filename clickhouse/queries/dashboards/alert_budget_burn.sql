-- alert_budget_burn: the month's spend at the pace of the last 24 hours, as a share of the monthly budget of each tenant
-- grain:  tenant; no row without a budget
-- source: usage_1m
-- units:  share, 1 = the whole budget
WITH toDateTime({last_s:UInt32}, 'UTC') AS now_, toStartOfMonth(now_) AS month
SELECT
    u.tenant AS tenant,
    toFloat64(sumIf(u.cost_usd, u.minute >= month)
        + sumIf(u.cost_usd, u.minute > now_ - 86400) * dateDiff('second', now_, toDateTime(addMonths(month, 1), 'UTC')) / 86400)
        / toFloat64(toDecimal128OrZero({budget_usd:String}, 15)) AS projected_share
FROM usage_1m AS u
WHERE
    u.minute >= least(toDateTime(month, 'UTC'), now_ - 86400)
    AND u.minute <= now_
    AND toDecimal128OrZero({budget_usd:String}, 15) > 0
GROUP BY tenant
ORDER BY tenant
