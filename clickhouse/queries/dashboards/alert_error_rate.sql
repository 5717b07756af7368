-- alert_error_rate: the share of calls that failed, by tenant and service
-- grain:  tenant and service with at least 20 calls in the window
-- source: usage_1m
-- units:  share 0..1
SELECT
    u.tenant AS tenant,
    u.service AS service,
    sum(u.failed_calls) / (sum(u.llm_calls) + sum(u.failed_calls)) AS error_share
FROM usage_1m AS u
WHERE u.minute >= toDateTime({first_s:UInt32}, 'UTC') AND u.minute <= toDateTime({last_s:UInt32}, 'UTC')
GROUP BY tenant, service
HAVING sum(u.llm_calls) + sum(u.failed_calls) >= 20
ORDER BY tenant, service
