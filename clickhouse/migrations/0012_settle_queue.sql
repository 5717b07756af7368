-- settle_queue: which traces have spans that settlement has not seen.
-- grain:  one trace; pending = tickets received − tickets settled (0062), so a settled trace sums to zero and its row disappears in a merge
-- key:    (tenant, trace_id)
-- source: view settle_queue_mv over genai_spans (a random ticket an arrival); settlement posts −pending when it has settled a trace
-- units:  none: tickets are random numbers
-- TTL:    none; rows that sum to zero are removed by merges
CREATE TABLE IF NOT EXISTS settle_queue
(
    tenant LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    pending Int64
)
ENGINE = SummingMergeTree(pending)
ORDER BY (tenant, trace_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
