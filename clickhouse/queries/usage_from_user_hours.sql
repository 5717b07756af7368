-- usage_from_user_hours: usage of any window by user, in buckets of hours or more
-- grain:  bucket, user, and total
-- source: user_usage_1h for whole hours, calls_by_time for the rest of the window
-- units:  calls, tokens, USD
-- rows:   level 'total' (one row), 'bucket' (one per bucket, by time), 'group' (one per combination, dearest first);
--         with series also 'series': one per combination and bucket, those of the dearest combinations first
-- Lines and blocks that a breakdown does not need are left out (store/queries.py), because analysing them takes longer than
-- reading. Empty rows are left out (with_tools: a row with tool runs is not empty); bucket_s = 0: one bucket.
    -- include parts/usage_levels
    SELECT
        intDiv(toInt64(toUnixTimestamp(hour)), greatest({bucket_s:Int64}, 1)) * {bucket_s:Int64} AS bucket,
        -- include parts/usage_columns
    FROM user_usage_1h
    WHERE
        tenant = {tenant:String}
        AND hour >= toDateTime({core_first_s:UInt32}, 'UTC')
        AND hour < toDateTime({core_end_s:UInt32}, 'UTC')
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
