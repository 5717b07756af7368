-- users_in_window: users with what they used in a window; a part of users and users_page
-- source: user_usage_1d for whole days, user_usage_1h, calls_by_time and message_list for the rest
SELECT
    user_id,
    max(u.at_s) AS last_s,
    sum(u.llm_calls) AS llm_calls,
    sum(u.failed_calls) AS failed_calls,
    sum(u.input_tokens) AS input_tokens,
    sum(u.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(u.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(u.cost_usd) AS cost_usd,
    sum(u.billed_calls) AS billed_calls,
    sum(u.computed_calls) AS computed_calls,
    sum(u.estimated_calls) AS estimated_calls,
    sum(u.unpriced_calls) AS unpriced_calls,
    sum(u.tool_calls) AS tool_calls,
    sum(u.failed_tool_calls) AS failed_tool_calls,
    sum(u.messages) AS messages
FROM
(
    SELECT user_id, toInt64(toUnixTimestamp(toDateTime(day, 'UTC'))) AS at_s, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages
    FROM user_usage_1d
    WHERE tenant = {tenant:String} AND startsWith(user_id, {prefix:String})
        AND day >= toDate(toDateTime({core_first_s:UInt32}, 'UTC'), 'UTC')
        AND day < toDate(toDateTime({core_end_s:UInt32}, 'UTC'), 'UTC')
    UNION ALL
    SELECT user_id, toInt64(toUnixTimestamp(hour)) AS at_s, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages
    FROM user_usage_1h
    WHERE tenant = {tenant:String} AND startsWith(user_id, {prefix:String})
        -- include parts/window_hours
    UNION ALL
    SELECT user_id, toInt64(toUnixTimestamp(toDateTime(started_at, 'UTC'))) AS at_s, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages
    FROM calls_by_time
    WHERE tenant = {tenant:String} AND startsWith(user_id, {prefix:String})
        -- include parts/window_rest
    UNION ALL
    SELECT user_id, toInt64(toUnixTimestamp(toDateTime(started_at, 'UTC'))) AS at_s, 0 AS llm_calls, 0 AS failed_calls, 0 AS input_tokens, 0 AS cache_read_input_tokens, 0 AS cache_write_input_tokens, 0 AS output_tokens, 0 AS reasoning_output_tokens, toDecimal128(0, 15) AS cost_usd, 0 AS billed_calls, 0 AS computed_calls, 0 AS estimated_calls, 0 AS unpriced_calls, 0 AS tool_calls, 0 AS failed_tool_calls, toInt64(counted) AS messages
    FROM message_list FINAL
    WHERE tenant = {tenant:String} AND startsWith(user_id, {prefix:String})
        -- include parts/window_rest
        AND (cityHash64(started_at, conversation_id), cityHash64(message_id)) IN
        (
            SELECT cityHash64(started_at, conversation_id), cityHash64(message_id) FROM message_times
            WHERE tenant = {tenant:String}
        -- include parts/window_rest
            GROUP BY tenant, started_at, conversation_id, message_id
            HAVING sum(messages) > 0
        )
) AS u
WHERE user_id != ''
GROUP BY user_id
HAVING llm_calls != 0 OR failed_calls != 0 OR tool_calls != 0 OR messages != 0
