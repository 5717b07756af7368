-- recent_over_time: usage by the second, for windows that a minute is too coarse for
-- grain:  bucket of the calls' start
-- source: ledger
-- units:  UTC seconds; calls, tokens and USD per second; errors
SELECT
    toDateTime(intDiv(toUnixTimestamp(l.started_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    sum(l.llm_calls) / {bucket_s:Int64} AS calls_per_s,
    sum(l.failed_calls) AS failed_calls,
    sum(l.input_tokens) / {bucket_s:Int64} AS input_tokens_per_s,
    sum(l.output_tokens) / {bucket_s:Int64} AS output_tokens_per_s,
    sum(l.cost_usd) AS cost_usd
FROM ledger AS l
WHERE
    l.tenant = {tenant:String}
    AND l.kind = 'call'
    AND l.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND l.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
GROUP BY time
ORDER BY time
