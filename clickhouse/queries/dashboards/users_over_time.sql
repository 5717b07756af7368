-- users_over_time: usage and active users in time buckets of at least an hour
-- grain:  bucket; an empty user_id parameter does not filter
-- source: user_usage_1h
-- units:  UTC seconds; users, calls, tokens, USD, shares 0..1
SELECT
    toDateTime(intDiv(toUnixTimestamp(u.hour), greatest(3600, {bucket_s:Int64})) * greatest(3600, {bucket_s:Int64}), 'UTC') AS time,
    uniqExactIf(u.user_id, u.user_id != '') AS active_users,
    sum(u.llm_calls) AS llm_calls,
    sum(u.failed_calls) AS failed_calls,
    sum(u.input_tokens) AS input_tokens,
    sum(u.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(u.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(u.cost_usd) AS cost_usd,
    sum(u.claimed_usd) AS claimed_usd,
    sum(u.claimed_calls) AS claimed_calls,
    sum(u.billed_calls) AS billed_calls,
    sum(u.computed_calls) AS computed_calls,
    sum(u.estimated_calls) AS estimated_calls,
    sum(u.unpriced_calls) AS unpriced_calls,
    sum(u.tool_calls) AS tool_calls,
    sum(u.failed_tool_calls) AS failed_tool_calls,
    sum(u.messages) AS messages,
    sum(u.input_tokens) + sum(u.output_tokens) AS total_tokens,
    sum(u.failed_calls) / nullIf(sum(u.llm_calls) + sum(u.failed_calls), 0) AS error_share,
    sum(u.unpriced_calls) / nullIf(sum(u.llm_calls), 0) AS unpriced_share,
    sum(u.cache_read_input_tokens) / nullIf(sum(u.input_tokens), 0) AS cache_share,
    sum(u.cost_usd) / nullIf(sum(u.llm_calls), 0) AS cost_per_call_usd
FROM user_usage_1h AS u
WHERE
    u.tenant = {tenant:String}
    AND u.hour >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC'))
    AND u.hour <= toDateTime({last_s:UInt32}, 'UTC')
    AND ({user_id:String} = '' OR u.user_id = {user_id:String})
GROUP BY time
ORDER BY time
