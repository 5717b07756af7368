-- statements: what a conversation came to when it was sealed; a correction is a further version, never a change.
-- grain:  one version of a conversation's statement
-- key:    (tenant, conversation_id, version)
-- source: view statements_mv over otel_logs, event spanledger.statement
-- units:  times UTC in ns; counts, tokens, USD
-- TTL:    none
CREATE TABLE IF NOT EXISTS statements
(
    tenant LowCardinality(String),
    conversation_id String CODEC(ZSTD(1)),
    version UInt32,                                   -- counts from 1
    cause LowCardinality(String),                     -- sealed | resumed | late | repriced
    sealed_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    first_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    last_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),  -- the end of the last message
    user_id String CODEC(ZSTD(1)),
    message_count Int64,
    models Array(LowCardinality(String)),
    llm_calls Int64 CODEC(ZSTD(1)),
    failed_calls Int64 CODEC(ZSTD(1)),
    input_tokens Int64 CODEC(ZSTD(1)),
    cache_read_input_tokens Int64 CODEC(ZSTD(1)),
    cache_write_input_tokens Int64 CODEC(ZSTD(1)),
    output_tokens Int64 CODEC(ZSTD(1)),
    reasoning_output_tokens Int64 CODEC(ZSTD(1)),
    cost_usd Decimal(38, 15) CODEC(ZSTD(1)),
    cost_state LowCardinality(String),
    priced_share Float64,
    difference String CODEC(ZSTD(1)),                 -- JSON: field → [before, now], against the version before
    analysis String CODEC(ZSTD(1)),                   -- done | reused | none: why
    trace_id String CODEC(ZSTD(1)),                   -- of the span `seal conversation` that holds the analysis
    INDEX idx_sealed_at sealed_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, conversation_id, version)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
