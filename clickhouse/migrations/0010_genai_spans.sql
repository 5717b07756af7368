-- genai_spans: every span once, in canonical names; the only table that settlement reads.
-- grain:  one span (duplicates collapse: the longest wins, whatever the order of arrival; of equally long ones a hash decides)
-- key:    (tenant, trace_id, span_id)
-- source: view genai_spans_mv over otel_traces, then settlement (ledger/interpret.py by the tables of clickhouse/dialects)
-- units:  times UTC in ns; tokens; money in USD. NULL means the span did not say, never zero.
-- TTL:    none: these are the books' vouchers
-- input_tokens includes cache reads and writes, output_tokens includes reasoning, whatever the dialect said.
-- Spans that are not about GenAI are here too (almost empty rows): ids are inherited through them.
CREATE TABLE IF NOT EXISTS genai_spans
(
    tenant LowCardinality(String),
    trace_id String,
    span_id String,
    parent_span_id String,
    version UInt64,                                   -- duration in ms, then a hash of the content, then whether it is interpreted
    started_at DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    duration_ns Int64 CODEC(T64, ZSTD(1)),
    service LowCardinality(String),
    scope LowCardinality(String),                     -- instrumentation scope name
    span_name LowCardinality(String),
    dialect LowCardinality(String),                   -- which rules matched, for people and for docs/dialects.md
    role LowCardinality(String),                      -- inference | embedding | rerank | tool | agent | workflow | chain | retrieval | other | ''
    operation LowCardinality(String),                 -- gen_ai.operation.name, canonical
    provider LowCardinality(String),
    request_model LowCardinality(String),
    response_model LowCardinality(String),
    response_id String,
    server_address LowCardinality(String),
    service_tier LowCardinality(String),
    stream UInt8,
    finish_reason LowCardinality(String),
    status LowCardinality(String),                    -- ok | error | unset
    error_type LowCardinality(String),
    conversation_id String,                           -- what the span itself says; inheritance is settlement's
    message_id String,
    user_id String,
    correlation_id String,
    workflow LowCardinality(String),
    agent LowCardinality(String),
    tool LowCardinality(String),                      -- the tool that this span executed
    tools_requested Array(LowCardinality(String)),    -- the tools that the model asked for in its answer
    prompt LowCardinality(String),
    prompt_version LowCardinality(String),
    variant LowCardinality(String),
    input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cache_read_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cache_write_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cache_write_1h_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    reasoning_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    audio_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    audio_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    image_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    image_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    usage_estimated UInt8,                            -- the sender counted tokens itself, the provider did not
    cost_claim_usd Nullable(Decimal(38, 15)),
    cost_claim_source LowCardinality(String),         -- provider | local | ''
    time_to_first_chunk_ns Nullable(Int64),
    anomalies Array(LowCardinality(String)),          -- e.g. negative:input_tokens; the bad value itself counts as unknown
    -- What the span said in its own words, until settlement has read it (normalised = 1) and written the row again.
    facts Map(LowCardinality(String), String),
    normalised UInt8 DEFAULT 1,
    arrived UInt8 DEFAULT 0,                          -- 1: written by the view, that is, a span has come
    batch LowCardinality(String),
    received_at DateTime64(3),
    -- What finds the copies of a call in other traces (call_keys): what makes two spans surely the same call or message,
    same_keys Array(UInt64) ALIAS arrayMap(k -> bitOr(bitShiftLeft(toUInt64(1), 63), bitShiftRight(k, 24)), arrayConcat(
        if(response_id != '' AND (role IN ('inference', 'embedding', 'rerank') OR parent_span_id = '' OR input_tokens IS NOT NULL),
            [cityHash64('response', response_id)], []),
        if(message_id = '', [], [cityHash64('message', message_id)]))),
    -- and what two tellings of one call have in common: service and token counts, or the conversation where no tokens are
    -- known; 0: nothing.
    likeness UInt64 ALIAS bitShiftRight(multiIf(
        input_tokens IS NOT NULL OR output_tokens IS NOT NULL,
            cityHash64(service, ifNull(input_tokens, 0), ifNull(output_tokens, 0)),
        role IN ('inference', 'embedding', 'rerank') AND conversation_id != '', cityHash64(service, conversation_id),
        toUInt64(0)), 28),
    -- Settlement asks for thousands of traces at once; few distinct ones share a granule, so so small an error is cheap.
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.00001) GRANULARITY 1,
    INDEX idx_correlation_id correlation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_started_at started_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant, trace_id, span_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16, max_parts_to_merge_at_once = 32, default_compression_codec = 'ZSTD(1)'
