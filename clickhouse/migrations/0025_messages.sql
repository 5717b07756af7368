-- messages: what is known of a message beside its usage; not additive, so it is replaced, not summed.
-- grain:  one message
-- key:    (tenant, conversation_id, message_id)
-- source: settlement, for the traces it looks at; a message that moved leaves a row with deleted = 1
-- units:  times UTC in ns
-- TTL:    none
CREATE TABLE IF NOT EXISTS messages
(
    tenant LowCardinality(String),
    conversation_id String,
    message_id String,
    trace_id String,
    user_id String,
    correlation_id String,
    service LowCardinality(String),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    duration_ns Int64 CODEC(T64, ZSTD(1)),
    status LowCardinality(String),                    -- ok | error
    error_type LowCardinality(String),
    providers Array(LowCardinality(String)),
    models Array(LowCardinality(String)),
    tools Array(LowCardinality(String)),
    version UInt64,
    deleted UInt8,
    INDEX idx_message_id message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_correlation_id correlation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_started_at started_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (tenant, conversation_id, message_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
