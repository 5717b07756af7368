-- alert_unpriced_share: the share of served calls without a price, by tenant and model
-- grain:  tenant and model with at least 20 calls in the window
-- source: usage_1m
-- units:  share 0..1
SELECT
    u.tenant AS tenant,
    u.model AS model,
    sum(u.unpriced_calls) / sum(u.llm_calls) AS unpriced_share
FROM usage_1m AS u
WHERE u.minute >= toDateTime({first_s:UInt32}, 'UTC') AND u.minute <= toDateTime({last_s:UInt32}, 'UTC')
GROUP BY tenant, model
HAVING sum(u.llm_calls) >= 20
ORDER BY tenant, model
