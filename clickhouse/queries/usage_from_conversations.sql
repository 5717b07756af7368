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
    -- include parts/usage_sums
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
        AND (empty({only_conversation:Array(String)}) OR conversation_id IN {only_conversation:Array(String)})
        AND (empty({only_user:Array(String)}) OR user_id IN {only_user:Array(String)})
        AND (empty({only_tenant:Array(String)}) OR tenant IN {only_tenant:Array(String)})
) AS e
GROUP BY GROUPING SETS ((bucket), (by_conversation, by_user, by_tenant), ())
    -- include parts/usage_is_not_zero
ORDER BY level, bucket, cost_usd DESC, input_tokens DESC, by_conversation, by_user, by_tenant
LIMIT {limit:UInt64} BY level
