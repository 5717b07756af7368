-- usage_order: the end of the usage_from_* queries, behind their rows
) AS e
GROUP BY GROUPING SETS
(
    (bucket),
    (
        -- include parts/usage_dimensions
        by_group
    ),
    -- begin series
    (
        -- include parts/usage_dimensions
        by_group,
        bucket
    ),
    -- end series
    ()
)
    -- include parts/usage_is_not_zero
    -- begin series
)
ORDER BY
    level,
    of_group DESC,
    -- include parts/usage_dimensions
    bucket
    -- end series
    -- begin no series
ORDER BY
    level,
    bucket,
    cost_usd DESC,
    input_tokens DESC,
    -- include parts/usage_dimensions
    level
    -- end no series
LIMIT {limit:UInt64} BY level
