-- ledger: the book. Append-only; a correction is the old entry with opposite signs and the right entry beside it.
-- grain:  one entry about one call, tool execution or message; the truth is the sum of its entries
-- key:    (tenant, trace_id, started_at): entries of like traces in like order, which is an eighth of the bytes
-- source: settlement (ledger/), which writes `should − posted` for the traces it looks at
-- units:  counts, tokens, ns, USD
-- TTL:    none
CREATE TABLE IF NOT EXISTS ledger
(
    posted_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    reason LowCardinality(String),                    -- settle | repair | reprice | undo
    run_id LowCardinality(String),                    -- the settlement, reprice or repair that wrote it
    price_book LowCardinality(String),                -- version of the prices used; '' where nothing was priced
    kind LowCardinality(String),                      -- call | tool | message
    tenant LowCardinality(String),
    trace_id String,
    span_id String,                                   -- the span that stands for the call; '' for kind message
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conversation_id String,
    message_id String,
    user_id String,
    service LowCardinality(String),
    operation LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    tool LowCardinality(String),
    prompt LowCardinality(String),
    prompt_version LowCardinality(String),
    variant LowCardinality(String),
    status LowCardinality(String),                    -- ok | error
    cost_state LowCardinality(String),                -- billed | computed | estimated | unpriced; '' where no provider served
    llm_calls Int64,
    failed_calls Int64,
    input_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_read_input_tokens Int64,
    cache_write_input_tokens Int64,
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_output_tokens Int64,
    cost_usd Decimal(38, 15) CODEC(GCD, ZSTD(1)),
    claimed_usd Decimal(38, 15),                      -- what the sender said it cost, kept beside ours
    claimed_calls Int64,
    billed_calls Int64,
    computed_calls Int64,
    estimated_calls Int64,
    unpriced_calls Int64,
    tool_calls Int64,
    failed_tool_calls Int64,
    messages Int64,
    duration_ns Int64 CODEC(T64, ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_started_at started_at TYPE minmax GRANULARITY 1,
    INDEX idx_posted_at posted_at TYPE minmax GRANULARITY 1,
    INDEX idx_conversation_id conversation_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (tenant, trace_id, started_at)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream'
