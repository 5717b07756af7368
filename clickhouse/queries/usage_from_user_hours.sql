-- usage_from_user_hours: usage of any window by user, in buckets of hours or more
-- grain:  bucket, user, and total
-- source: user_usage_1h for whole hours, calls_by_time for the rest of the window
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first)
-- Lines of a dimension (`-- dimension NAME`) are left out where it is neither grouped by nor filtered: analysing them takes
-- longer than reading. A dimension that is not in group_by is ''; with 'bucket' in it there is a group per bucket too.
-- An empty only_* list does not filter; empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
SELECT
    multiIf(grouping(bucket) = 0, 'bucket', grouping(by_bucket) = 0, 'group', 'total') AS level,
    bucket,
    by_bucket,
    by_user, -- dimension user
    by_tenant, -- dimension tenant
    -- include parts/usage_sums
FROM
(
    SELECT
        *,
        if({bucket_s:Int64} = 0, 0, intDiv(toInt64(toUnixTimestamp(at)), {bucket_s:Int64}) * {bucket_s:Int64}) AS bucket,
        if(has({group_by:Array(String)}, 'user'), user_id, '') AS by_user, -- dimension user
        if(has({group_by:Array(String)}, 'tenant'), tenant, '') AS by_tenant, -- dimension tenant
        if(has({group_by:Array(String)}, 'bucket'), bucket, 0) AS by_bucket
    FROM
    (
        SELECT tenant, hour AS at, user_id, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
        FROM user_usage_1h
        WHERE
            tenant = {tenant:String}
            AND (empty({only_user:Array(String)}) OR user_id IN {only_user:Array(String)})
            AND hour >= toDateTime({core_first_s:UInt32}, 'UTC')
            AND hour < toDateTime({core_end_s:UInt32}, 'UTC')
        -- include parts/user_usage_edges
    )
    WHERE
        1
        AND (empty({only_tenant:Array(String)}) OR has({only_tenant:Array(String)}, tenant)) -- dimension tenant
) AS e
GROUP BY GROUPING SETS
(
    (bucket),
    (
        by_user, -- dimension user
        by_tenant, -- dimension tenant
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
    by_user, -- dimension user
    by_tenant, -- dimension tenant
    by_bucket
LIMIT {limit:UInt64} BY level
