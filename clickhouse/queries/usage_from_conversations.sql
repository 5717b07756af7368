-- usage_from_conversations: usage of all time by conversation and user
-- grain:  conversation, user, and total
-- source: conversation_usage
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first)
-- A dimension that is not in group_by is '' everywhere.
-- An empty only_* list does not filter; empty rows are left out (with_tools: a row with tool runs is not empty).
SELECT
    multiIf(grouping(bucket) = 0, 'bucket', grouping(by_conversation) = 0, 'group', 'total') AS level,
    bucket,
    by_conversation,
    by_user,
    by_tenant,
    sum(e.llm_calls) AS llm_calls,
    sum(e.failed_calls) AS failed_calls,
    sum(e.input_tokens) AS input_tokens,
    sum(e.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(e.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(e.output_tokens) AS output_tokens,
    sum(e.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(e.cost_usd) AS cost_usd,
    sum(e.billed_calls) AS billed_calls,
    sum(e.computed_calls) AS computed_calls,
    sum(e.estimated_calls) AS estimated_calls,
    sum(e.unpriced_calls) AS unpriced_calls,
    sum(e.tool_calls) AS tool_calls,
    sum(e.failed_tool_calls) AS failed_tool_calls
FROM
(
    SELECT
        *,
        0 AS bucket,
        if(has({group_by:Array(String)}, 'conversation'), conversation_id, '') AS by_conversation,
        if(has({group_by:Array(String)}, 'user'), user_id, '') AS by_user,
        if(has({group_by:Array(String)}, 'tenant'), tenant, '') AS by_tenant
    FROM conversation_usage
    WHERE
        tenant = {tenant:String}
        AND (empty({only_conversation:Array(String)}) OR has({only_conversation:Array(String)}, conversation_id))
        AND (empty({only_user:Array(String)}) OR has({only_user:Array(String)}, user_id))
        AND (empty({only_tenant:Array(String)}) OR has({only_tenant:Array(String)}, tenant))
) AS e
GROUP BY GROUPING SETS ((bucket), (by_conversation, by_user, by_tenant), ())
HAVING
    level = 'total'
    OR llm_calls != 0
    OR failed_calls != 0
    OR input_tokens != 0
    OR output_tokens != 0
    OR cost_usd != 0
    OR ({with_tools:UInt8} AND tool_calls != 0)
ORDER BY level, bucket, cost_usd DESC, input_tokens DESC, by_conversation, by_user, by_tenant
LIMIT {limit:UInt64} BY level
