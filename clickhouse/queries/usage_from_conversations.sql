-- usage_from_conversations: usage of all time by conversation and user
-- grain:  conversation, user, and total
-- source: conversation_usage
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first);
--         with series also 'series': one per combination and bucket, those of the dearest combinations first
-- Lines and blocks that a breakdown does not need are left out (store/queries.py), because analysing them takes longer than
-- reading. Empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
    -- include parts/usage_levels
    SELECT
        intDiv(0, greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        0 AS by_group,
        conversation_id AS by_conversation, -- by conversation
        user_id AS by_user, -- by user
        tenant AS by_tenant, -- by tenant
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
    FROM conversation_usage
    WHERE
        tenant = {tenant:String}
        AND conversation_id IN {only_conversation:Array(String)} -- only conversation
        AND user_id IN {only_user:Array(String)} -- only user
        AND tenant IN {only_tenant:Array(String)} -- only tenant
    -- include parts/usage_order
