-- alert_history: when a share of the calls was above the threshold of an alert rule
-- grain:  rule, what it is about, and window of the clock
-- source: usage_1m
-- units:  start_s since 1970 UTC; share 0..1; calls: those that the share is of
SELECT rule, about, start_s, share, calls
FROM
(
    SELECT 'error-rate' AS rule, about, start_s, failed / calls AS share, calls
    FROM
    (
        SELECT
            service AS about,
            intDiv(toUnixTimestamp(minute), {error_window_s:UInt32}) * {error_window_s:UInt32} AS start_s,
            sum(failed_calls) AS failed,
            sum(llm_calls) + failed AS calls
        FROM usage_1m
        WHERE tenant = {tenant:String} AND minute >= toDateTime({first_s:UInt32}, 'UTC') AND minute <= toDateTime({last_s:UInt32}, 'UTC')
        GROUP BY about, start_s
    )
    WHERE calls >= {fewest_calls:UInt32} AND share > {error_above:Float64}
    UNION ALL
    SELECT 'unpriced-share' AS rule, about, start_s, unpriced / calls AS share, calls
    FROM
    (
        SELECT
            model AS about,
            intDiv(toUnixTimestamp(minute), {unpriced_window_s:UInt32}) * {unpriced_window_s:UInt32} AS start_s,
            sum(unpriced_calls) AS unpriced,
            sum(llm_calls) AS calls
        FROM usage_1m
        WHERE tenant = {tenant:String} AND minute >= toDateTime({first_s:UInt32}, 'UTC') AND minute <= toDateTime({last_s:UInt32}, 'UTC')
        GROUP BY about, start_s
    )
    WHERE calls >= {fewest_calls:UInt32} AND share > {unpriced_above:Float64}
)
ORDER BY start_s DESC, rule, about
LIMIT {limit:UInt32}
