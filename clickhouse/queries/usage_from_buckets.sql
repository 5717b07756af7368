-- usage_from_buckets: usage of any window by the low-cardinality dimensions, in the buckets of a rollup or longer ones
-- grain:  bucket, combination of dimensions, and total
-- source: the rollup by time (usage_1h by hour, usage_1m by minute) for whole buckets, calls_by_time for the rest of the window
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first)
-- Lines of a dimension (`-- dimension NAME`) are left out where it is neither grouped by nor filtered: analysing them takes
-- longer than reading. A dimension that is not in group_by is ''; with 'bucket' in it there is a group per bucket too.
-- An empty only_* list does not filter; empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
SELECT
    multiIf(grouping(bucket) = 0, 'bucket', grouping(by_bucket) = 0, 'group', 'total') AS level,
    bucket,
    by_bucket,
    -- include parts/usage_dimensions
    -- include parts/usage_sums
FROM
(
    SELECT
        *,
        if({bucket_s:Int64} = 0, 0, intDiv(toInt64(toUnixTimestamp(at)), {bucket_s:Int64}) * {bucket_s:Int64}) AS bucket,
        if(has({group_by:Array(String)}, 'provider'), provider, '') AS by_provider, -- dimension provider
        if(has({group_by:Array(String)}, 'model'), model, '') AS by_model, -- dimension model
        if(has({group_by:Array(String)}, 'workflow'), workflow, '') AS by_workflow, -- dimension workflow
        if(has({group_by:Array(String)}, 'agent'), agent, '') AS by_agent, -- dimension agent
        if(has({group_by:Array(String)}, 'tool'), tool, '') AS by_tool, -- dimension tool
        if(has({group_by:Array(String)}, 'prompt'), prompt, '') AS by_prompt, -- dimension prompt
        if(has({group_by:Array(String)}, 'variant'), variant, '') AS by_variant, -- dimension variant
        if(has({group_by:Array(String)}, 'operation'), operation, '') AS by_operation, -- dimension operation
        if(has({group_by:Array(String)}, 'service'), service, '') AS by_service, -- dimension service
        if(has({group_by:Array(String)}, 'tenant'), tenant, '') AS by_tenant, -- dimension tenant
        if(has({group_by:Array(String)}, 'status'), status, '') AS by_status, -- dimension status
        if(has({group_by:Array(String)}, 'bucket'), bucket, 0) AS by_bucket
    FROM
    (
        SELECT tenant, {begin:Identifier} AS at, service, operation, provider, model, workflow, agent, tool, prompt, variant, status, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
        FROM {rollup:Identifier}
        WHERE
            tenant = {tenant:String}
            AND {begin:Identifier} >= toDateTime({core_first_s:UInt32}, 'UTC')
            AND {begin:Identifier} < toDateTime({core_end_s:UInt32}, 'UTC')
        UNION ALL
        SELECT tenant, toDateTime(started_at, 'UTC') AS at, service, operation, provider, model, workflow, agent, tool, prompt, variant, status, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
        FROM calls_by_time
        WHERE
            tenant = {tenant:String}
            -- include parts/window_edges
    )
    WHERE
        1
        AND (empty({only_provider:Array(String)}) OR has({only_provider:Array(String)}, provider)) -- dimension provider
        AND (empty({only_model:Array(String)}) OR has({only_model:Array(String)}, model)) -- dimension model
        AND (empty({only_workflow:Array(String)}) OR has({only_workflow:Array(String)}, workflow)) -- dimension workflow
        AND (empty({only_agent:Array(String)}) OR has({only_agent:Array(String)}, agent)) -- dimension agent
        AND (empty({only_tool:Array(String)}) OR has({only_tool:Array(String)}, tool)) -- dimension tool
        AND (empty({only_prompt:Array(String)}) OR has({only_prompt:Array(String)}, prompt)) -- dimension prompt
        AND (empty({only_variant:Array(String)}) OR has({only_variant:Array(String)}, variant)) -- dimension variant
        AND (empty({only_operation:Array(String)}) OR has({only_operation:Array(String)}, operation)) -- dimension operation
        AND (empty({only_service:Array(String)}) OR has({only_service:Array(String)}, service)) -- dimension service
        AND (empty({only_tenant:Array(String)}) OR has({only_tenant:Array(String)}, tenant)) -- dimension tenant
        AND (empty({only_status:Array(String)}) OR has({only_status:Array(String)}, status)) -- dimension status
) AS e
GROUP BY GROUPING SETS
(
    (bucket),
    (
        -- include parts/usage_dimensions
        by_bucket
    ),
    ()
)
    -- include parts/usage_is_not_zero
ORDER BY
    level,
    bucket,
    cost_usd DESC,
    input_tokens DESC,
    -- include parts/usage_dimensions
    by_bucket
LIMIT {limit:UInt64} BY level
