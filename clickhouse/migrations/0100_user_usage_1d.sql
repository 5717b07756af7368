-- user_usage_1d: tokens and cost per day and user: who used most
-- grain:  one day (UTC) and user
-- key:    (tenant, day, user_id)
-- source: view user_usage_1d_mv over ledger
-- units:  counts, tokens, ns, USD
-- TTL:    none
-- user_usage_1h is in the order of users, this in the order of days.
CREATE TABLE IF NOT EXISTS user_usage_1d
(
    tenant LowCardinality(String),
    day Date,
    user_id String,
    llm_calls Int64,
    failed_calls Int64,
    input_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_read_input_tokens Int64,
    cache_write_input_tokens Int64,
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_output_tokens Int64,
    cost_usd Decimal(38, 15) CODEC(GCD, ZSTD(1)),
    claimed_usd Decimal(38, 15),
    claimed_calls Int64,
    billed_calls Int64,
    computed_calls Int64,
    estimated_calls Int64,
    unpriced_calls Int64,
    tool_calls Int64,
    failed_tool_calls Int64,
    messages Int64,
    duration_ns Int64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree((llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, claimed_usd, claimed_calls, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages, duration_ns))
ORDER BY (tenant, day, user_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
