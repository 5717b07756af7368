-- usage_from_calls: usage of any window by any dimension, exact to the nanosecond
-- grain:  bucket, combination of dimensions, and total
-- source: calls_by_time
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first);
--         with series also 'series': one per combination and bucket, those of the dearest combinations first
-- Lines and blocks that a breakdown does not need are left out (store/queries.py), because analysing them takes longer than
-- reading. Empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
    -- include parts/usage_levels
    SELECT
        intDiv(intDiv(toUnixTimestamp64Nano(started_at), 1000000000), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        0 AS by_group,
        provider AS by_provider, -- by provider
        model AS by_model, -- by model
        user_id AS by_user, -- by user
        conversation_id AS by_conversation, -- by conversation
        workflow AS by_workflow, -- by workflow
        agent AS by_agent, -- by agent
        tool AS by_tool, -- by tool
        prompt AS by_prompt, -- by prompt
        variant AS by_variant, -- by variant
        operation AS by_operation, -- by operation
        service AS by_service, -- by service
        tenant AS by_tenant, -- by tenant
        status AS by_status, -- by status
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
    FROM calls_by_time
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND provider IN {only_provider:Array(String)} -- only provider
        AND model IN {only_model:Array(String)} -- only model
        AND user_id IN {only_user:Array(String)} -- only user
        AND conversation_id IN {only_conversation:Array(String)} -- only conversation
        AND workflow IN {only_workflow:Array(String)} -- only workflow
        AND agent IN {only_agent:Array(String)} -- only agent
        AND tool IN {only_tool:Array(String)} -- only tool
        AND prompt IN {only_prompt:Array(String)} -- only prompt
        AND variant IN {only_variant:Array(String)} -- only variant
        AND operation IN {only_operation:Array(String)} -- only operation
        AND service IN {only_service:Array(String)} -- only service
        AND tenant IN {only_tenant:Array(String)} -- only tenant
        AND status IN {only_status:Array(String)} -- only status
    -- include parts/usage_order
