-- call_keys: where the other copies of a call may be (another instrumentation's span in another trace).
-- grain:  one key of one span
-- key:    (tenant, key, trace_id, span_id)
-- source: view call_keys_mv over genai_spans
-- units:  times UTC in ns
-- TTL:    none
CREATE TABLE IF NOT EXISTS call_keys
(
    tenant LowCardinality(String),
    key UInt64 CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    surely UInt8,                                     -- 1: same response id or message id; 0: only alike
    scope LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ended_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX idx_key key TYPE bloom_filter(0.00001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, key, trace_id, span_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
