-- dimension_values: the values of one dimension in a window
-- grain:  value
-- source: usage_1m
-- by: a dimension of usage_1m
SELECT {by:Identifier} AS value
FROM usage_1m
WHERE
    tenant = {tenant:String}
    AND minute >= toDateTime({first_s:UInt32}, 'UTC')
    AND minute <= toDateTime({last_s:UInt32}, 'UTC')
    AND value != ''
GROUP BY value
ORDER BY value
