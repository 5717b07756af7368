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
        -- include parts/usage_columns
    FROM conversation_usage
    WHERE
        tenant = {tenant:String}
        -- include parts/usage_only
    -- include parts/usage_order
