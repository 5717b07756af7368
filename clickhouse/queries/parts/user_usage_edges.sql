-- user_usage_edges: what lies before the first and after the last whole day or hour of a window, by user
-- source: calls_by_time
        UNION ALL
        SELECT tenant, toDateTime(started_at, 'UTC') AS at, user_id, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
        FROM calls_by_time
        WHERE
            tenant = {tenant:String}
            AND (empty({only_user:Array(String)}) OR user_id IN {only_user:Array(String)})
            -- include parts/window_edges
