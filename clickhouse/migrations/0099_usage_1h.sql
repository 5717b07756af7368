-- usage_1h: tokens and cost per hour and dimension: days and months
-- grain:  one hour and combination of the low-cardinality dimensions
-- key:    (tenant, hour, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state, kind)
-- source: view usage_1h_mv over ledger
-- units:  counts, tokens, ns, USD
-- TTL:    none
-- As usage_1m, with a sixtieth of the rows.
CREATE TABLE IF NOT EXISTS usage_1h
(
    tenant LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
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
    kind LowCardinality(String),
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
ORDER BY (tenant, hour, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state, kind)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
