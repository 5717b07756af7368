-- usage_levels: the beginning of the usage_from_* queries, up to their rows
    -- begin series
SELECT
    *,
    max((level = 'group', cost_usd, input_tokens))
        OVER (
            PARTITION BY
                -- include parts/usage_dimensions
                level IN ('group', 'series')
        ) AS of_group
FROM
(
    -- end series
SELECT
    multiIf(
        grouping(bucket) = 0 AND grouping(by_group) = 0, 'series', -- series
        grouping(bucket) = 0, 'bucket',
        grouping(by_group) = 0, 'group',
        'total') AS level,
    bucket,
    -- include parts/usage_dimensions
    -- include parts/usage_sums
FROM
(
