-- calls_by_time: the ledger in the order of time: every call and tool run with what it came to
-- grain:  one call or tool run
-- key:    (tenant, started_at, trace_id, span_id, kind, conversation_id, message_id, user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state)
-- source: view calls_by_time_mv over ledger
-- units:  counts, tokens, ns, USD
-- TTL:    none
-- Any window of any dimension is read from here as one stretch; corrections add up.
CREATE TABLE IF NOT EXISTS calls_by_time
(
    tenant LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String,
    span_id String,
    kind LowCardinality(String),
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
    status LowCardinality(String),
    cost_state LowCardinality(String),
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
ORDER BY (tenant, started_at, trace_id, span_id, kind, conversation_id, message_id, user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
