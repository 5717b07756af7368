-- call_keys: where the other copies of a call may be (another instrumentation's span in another trace).
-- grain:  one key of one trace, and for likeness of one span; with every such trace a row that says its id
-- key:    (tenant, key, trace, scope, start_ms)
-- source: view call_keys_mv over genai_spans
-- units:  ms; start_ms counts from the minute that is in the key
-- TTL:    none
-- Keys come in three kinds, told by their highest bits. 0: the minute of the start (28 bits), then the likeness of a call
-- (36). 10: what surely is the same, a hash of a response id or message id (40). 11: the hash of a trace id, the same as in
-- column `trace`. The id itself would be half of the table. Where two hashes are equal by chance, settlement looks at one
-- trace more and sees that it has nothing to do with it.
CREATE TABLE IF NOT EXISTS call_keys
(
    tenant LowCardinality(String),
    key UInt64 CODEC(Delta(8), ZSTD(1)),
    trace UInt32,
    trace_id String,                                  -- of kind 11, else ''
    scope LowCardinality(String),                     -- of likeness, like the rest
    start_ms UInt16,
    duration_ms UInt32
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, key, trace, scope, start_ms)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000, merge_selector_base = 16,
    default_compression_codec = 'ZSTD(1)', string_serialization_version = 'single_stream', min_bytes_for_wide_part = 4194304
