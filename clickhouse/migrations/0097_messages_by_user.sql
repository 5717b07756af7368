-- messages_by_user: every message of a user at its time
-- grain:  one message
-- key:    (tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status)
-- source: view messages_by_user_mv over ledger
-- units:  times UTC in ns; messages: how many it stands for, 0 once it has moved
-- TTL:    none
CREATE TABLE IF NOT EXISTS messages_by_user
(
    tenant LowCardinality(String),
    user_id String,
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conversation_id String,
    message_id String,
    trace_id String,
    service LowCardinality(String),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    status LowCardinality(String),
    messages Int64
)
ENGINE = SummingMergeTree((messages))
ORDER BY (tenant, user_id, started_at, conversation_id, message_id, trace_id, service, workflow, agent, status)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
