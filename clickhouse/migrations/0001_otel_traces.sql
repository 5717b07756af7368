-- otel_traces: raw spans, exactly as they arrived.
-- grain:  one received span (at-least-once: the same span may stand here several times)
-- key:    (Tenant, ServiceName, five minutes, TraceId); genai_spans knows a trace's services and time range
-- source: the embedded loader, or the Collector's clickhouse exporter (create_schema: false); columns up to Links are the exporter's
-- units:  Timestamp UTC in ns, Duration in ns
-- TTL:    none here; retention is set per installation (docs/operations.md)
-- Partitioned by the day of receipt, not of the span: a sender with a wrong clock must not create a thousand partitions,
-- nor have its spans expire on arrival.
-- A merge holds a granule of each part: 2,048 spans of 0.6 KB, of 32 parts at most.
-- Lengths of strings stand among the strings: as streams of their own those of the attributes took a fifth of the table.
CREATE TABLE IF NOT EXISTS otel_traces
(
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(T64, ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested(TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT if(ResourceAttributes['spanledger.tenant'] = '', 'default', ResourceAttributes['spanledger.tenant']) CODEC(ZSTD(1)),
    Batch LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_batch Batch TYPE set(100) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(ReceivedAt)
ORDER BY (Tenant, ServiceName, toStartOfFiveMinutes(Timestamp), TraceId)
SETTINGS index_granularity = 2048, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, merge_selector_base = 16, max_parts_to_merge_at_once = 32,
    string_serialization_version = 'single_stream'
