-- usage_from_calls: usage of any window by any dimension, exact to the nanosecond
-- grain:  bucket, combination of dimensions, and total
-- source: calls_by_time
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
        if({bucket_s:Int64} = 0, 0, intDiv(intDiv(toUnixTimestamp64Nano(started_at), 1000000000), {bucket_s:Int64}) * {bucket_s:Int64}) AS bucket,
        if(has({group_by:Array(String)}, 'provider'), provider, '') AS by_provider, -- dimension provider
        if(has({group_by:Array(String)}, 'model'), model, '') AS by_model, -- dimension model
        if(has({group_by:Array(String)}, 'user'), user_id, '') AS by_user, -- dimension user
        if(has({group_by:Array(String)}, 'conversation'), conversation_id, '') AS by_conversation, -- dimension conversation
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
    FROM calls_by_time
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND (empty({only_provider:Array(String)}) OR provider IN {only_provider:Array(String)}) -- dimension provider
        AND (empty({only_model:Array(String)}) OR model IN {only_model:Array(String)}) -- dimension model
        AND (empty({only_user:Array(String)}) OR user_id IN {only_user:Array(String)}) -- dimension user
        AND (empty({only_conversation:Array(String)}) OR conversation_id IN {only_conversation:Array(String)}) -- dimension conversation
        AND (empty({only_workflow:Array(String)}) OR workflow IN {only_workflow:Array(String)}) -- dimension workflow
        AND (empty({only_agent:Array(String)}) OR agent IN {only_agent:Array(String)}) -- dimension agent
        AND (empty({only_tool:Array(String)}) OR tool IN {only_tool:Array(String)}) -- dimension tool
        AND (empty({only_prompt:Array(String)}) OR prompt IN {only_prompt:Array(String)}) -- dimension prompt
        AND (empty({only_variant:Array(String)}) OR variant IN {only_variant:Array(String)}) -- dimension variant
        AND (empty({only_operation:Array(String)}) OR operation IN {only_operation:Array(String)}) -- dimension operation
        AND (empty({only_service:Array(String)}) OR service IN {only_service:Array(String)}) -- dimension service
        AND (empty({only_tenant:Array(String)}) OR tenant IN {only_tenant:Array(String)}) -- dimension tenant
        AND (empty({only_status:Array(String)}) OR status IN {only_status:Array(String)}) -- dimension status
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
