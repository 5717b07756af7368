-- trace_anomalies: what is odd about a span and shows only beside the others of its trace or in the price book.
-- grain:  one anomaly of a span; a row with deleted = 1 takes it back
-- key:    (tenant, trace_id, span_id, field, kind)
-- source: settlement, audit --repair and reprice, for the traces they look at (ledger/anomalies.py)
-- units:  times UTC in ns
-- TTL:    none
-- People read view anomalies, which has these and those of each span by itself.
CREATE TABLE IF NOT EXISTS trace_anomalies
(
    tenant LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    field LowCardinality(String),                     -- e.g. model, usage, parent_span_id
    kind LowCardinality(String),                      -- e.g. unpriced, contradiction, cycle
    reason String CODEC(ZSTD(1)),
    started_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    service LowCardinality(String),
    dialect LowCardinality(String),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (tenant, trace_id, span_id, field, kind)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
