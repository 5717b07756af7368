-- usage_from_user_days: usage of any window by user, in buckets of days or more
-- grain:  bucket, user, and total
-- source: user_usage_1d for whole days, user_usage_1h for whole hours beside them, calls_by_time for the rest
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first);
--         with series also 'series': one per combination and bucket, those of the dearest combinations first
-- Lines and blocks that a breakdown does not need are left out (store/queries.py), because analysing them takes longer than
-- reading. Empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
    -- include parts/usage_levels
    SELECT
        intDiv(toInt64(toUnixTimestamp(toDateTime(day, 'UTC'))), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        0 AS by_group,
        user_id AS by_user, -- by user
        tenant AS by_tenant, -- by tenant
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
    FROM user_usage_1d
    WHERE
        tenant = {tenant:String}
        AND day >= toDate(toDateTime({core_first_s:UInt32}, 'UTC'), 'UTC')
        AND day < toDate(toDateTime({core_end_s:UInt32}, 'UTC'), 'UTC')
        AND user_id IN {only_user:Array(String)} -- only user
        AND tenant IN {only_tenant:Array(String)} -- only tenant
    UNION ALL
    SELECT
        intDiv(toInt64(toUnixTimestamp(hour)), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        0 AS by_group,
        user_id AS by_user, -- by user
        tenant AS by_tenant, -- by tenant
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
    FROM user_usage_1h
    WHERE
        tenant = {tenant:String}
        -- include parts/window_hours
        AND user_id IN {only_user:Array(String)} -- only user
        AND tenant IN {only_tenant:Array(String)} -- only tenant
    UNION ALL
    SELECT
        intDiv(toInt64(toUnixTimestamp(toDateTime(started_at, 'UTC'))), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        0 AS by_group,
        user_id AS by_user, -- by user
        tenant AS by_tenant, -- by tenant
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
    FROM calls_by_time
    WHERE
        tenant = {tenant:String}
        -- include parts/window_rest
        AND user_id IN {only_user:Array(String)} -- only user
        AND tenant IN {only_tenant:Array(String)} -- only tenant
    -- include parts/usage_order
