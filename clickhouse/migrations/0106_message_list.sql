-- message_list: table messages in the order of time, for lists.
-- grain:  one message at one time of its start; a message whose start has moved leaves its old row (see message_times)
-- key:    (tenant, started_at, conversation_id, message_id)
-- source: view message_list_mv over messages
-- units:  times UTC in ns
-- TTL:    none
CREATE TABLE IF NOT EXISTS message_list
(
    tenant LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conversation_id String,
    message_id String,
    trace_id String,
    user_id String,
    correlation_id String,
    service LowCardinality(String),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    duration_ns Int64 CODEC(T64, ZSTD(1)),
    status LowCardinality(String),
    error_type LowCardinality(String),
    providers Array(LowCardinality(String)),
    models Array(LowCardinality(String)),
    tools Array(LowCardinality(String)),
    counted UInt8,
    prompt LowCardinality(String),
    prompt_version LowCardinality(String),
    variant LowCardinality(String),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant, started_at, conversation_id, message_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
