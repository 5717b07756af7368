-- users: usage of whole hours by user, dearest first
-- grain:  user; an empty user_id parameter does not filter
-- source: user_usage_1h
-- units:  calls, tokens, USD, shares 0..1
SELECT
    u.user_id AS user_id,
    max(u.hour) AS last_hour,
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
    AND u.user_id != ''
GROUP BY user_id
ORDER BY cost_usd DESC, total_tokens DESC, user_id
LIMIT {limit:UInt64}
