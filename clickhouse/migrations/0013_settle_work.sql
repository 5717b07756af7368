-- settle_work: the traces that a settlement looks at right now; scratch, lost at a restart by design.
-- grain:  one trace of one run; round 0 came from the queue, later rounds are traces that may hold copies of its calls
-- source: settlement
CREATE TABLE IF NOT EXISTS settle_work
(
    run_id String,
    round UInt8,
    tenant LowCardinality(String),
    trace_id String
)
ENGINE = Memory
