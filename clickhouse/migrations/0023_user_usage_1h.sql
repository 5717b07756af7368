-- user_usage_1h: tokens and cost per user and hour.
-- grain:  one user and hour of the calls' start
-- key:    (tenant, user_id, hour)
-- source: view user_usage_1h_mv over ledger
-- units:  counts, tokens, ns, USD
-- TTL:    none
CREATE TABLE IF NOT EXISTS user_usage_1h
(
    tenant LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    llm_calls Int64 CODEC(ZSTD(1)),
    failed_calls Int64 CODEC(ZSTD(1)),
    input_tokens Int64 CODEC(ZSTD(1)),
    cache_read_input_tokens Int64 CODEC(ZSTD(1)),
    cache_write_input_tokens Int64 CODEC(ZSTD(1)),
    output_tokens Int64 CODEC(ZSTD(1)),
    reasoning_output_tokens Int64 CODEC(ZSTD(1)),
    cost_usd Decimal(38, 15) CODEC(ZSTD(1)),
    claimed_usd Decimal(38, 15) CODEC(ZSTD(1)),
    claimed_calls Int64 CODEC(ZSTD(1)),
    billed_calls Int64 CODEC(ZSTD(1)),
    computed_calls Int64 CODEC(ZSTD(1)),
    estimated_calls Int64 CODEC(ZSTD(1)),
    unpriced_calls Int64 CODEC(ZSTD(1)),
    tool_calls Int64 CODEC(ZSTD(1)),
    failed_tool_calls Int64 CODEC(ZSTD(1)),
    messages Int64 CODEC(ZSTD(1)),
    duration_ns Int64 CODEC(ZSTD(1))
)
ENGINE = SummingMergeTree((llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, claimed_usd, claimed_calls, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages, duration_ns))
ORDER BY (tenant, user_id, hour)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
