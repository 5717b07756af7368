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
        -- include parts/usage_columns
    FROM calls_by_time
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        -- include parts/usage_only
    -- include parts/usage_order
