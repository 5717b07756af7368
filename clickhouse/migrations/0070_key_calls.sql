-- key_calls: which calls came through which API key; what they used stands in the ledger.
-- grain:  span of a model's call that carries a key; a span that came twice may stand here twice until a merge
-- key:    (tenant, key_id, started_at, trace_id, span_id)
-- source: view key_calls_mv over otel_traces, and ingest/completion.py after a crash
-- units:  times UTC in ns
-- TTL:    100 days after the call: budgets look back a month
CREATE TABLE IF NOT EXISTS key_calls
(
    tenant LowCardinality(String),
    key_id LowCardinality(String),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, key_id, started_at, trace_id, span_id)
TTL toDateTime(started_at) + INTERVAL 100 DAY
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
