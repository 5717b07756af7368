-- usage_from_buckets: usage of any window by the low-cardinality dimensions, in the buckets of a rollup or longer ones
-- grain:  bucket, combination of dimensions, and total
-- source: the rollup by time (usage_1h by hour, usage_1m by minute) for whole buckets, calls_by_time for the rest of the window
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first);
--         with series also 'series': one per combination and bucket, those of the dearest combinations first
-- Lines and blocks that a breakdown does not need are left out (store/queries.py), because analysing them takes longer than
-- reading. Empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
    -- include parts/usage_levels
    SELECT
        intDiv(toInt64(toUnixTimestamp({begin:Identifier})), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        -- include parts/usage_columns
    FROM {rollup:Identifier}
    WHERE
        tenant = {tenant:String}
        AND {begin:Identifier} >= toDateTime({core_first_s:UInt32}, 'UTC')
        AND {begin:Identifier} < toDateTime({core_end_s:UInt32}, 'UTC')
        -- include parts/usage_only
    UNION ALL
    SELECT
        intDiv(toInt64(toUnixTimestamp(toDateTime(started_at, 'UTC'))), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        -- include parts/usage_columns
    FROM calls_by_time
    WHERE
        tenant = {tenant:String}
        -- include parts/window_edges
        -- include parts/usage_only
    -- include parts/usage_order
