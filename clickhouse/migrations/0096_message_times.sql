-- message_times: which messages there are at which time
-- grain:  one message
-- key:    (tenant, started_at, conversation_id, message_id)
-- source: view message_times_mv over ledger
-- units:  times UTC in ns; messages: how many it stands for, 0 once it has moved
-- TTL:    none
-- message_list has what is known of each; rows of it that are not here are of messages that have moved since.
CREATE TABLE IF NOT EXISTS message_times
(
    tenant LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conversation_id String,
    message_id String,
    messages Int64
)
ENGINE = SummingMergeTree((messages))
ORDER BY (tenant, started_at, conversation_id, message_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
