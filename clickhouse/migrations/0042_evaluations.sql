-- evaluations: what people and evaluators thought of answers; append-only, the latest word of each counts.
-- grain:  one evaluation result; the same record delivered twice is one row
-- key:    (tenant, message_id, trace_id, name, evaluator, evaluated_at, digest)
-- source: views evaluations_of_logs_mv (log records) and evaluations_of_spans_mv (span events), event gen_ai.evaluation.result
-- units:  times UTC in ns; score as the evaluator gave it, NULL: it gave none
-- TTL:    none
CREATE TABLE IF NOT EXISTS evaluations
(
    tenant LowCardinality(String),
    message_id String CODEC(ZSTD(1)),                 -- '' when only the trace is known (foreign applications)
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    conversation_id String CODEC(ZSTD(1)),
    name LowCardinality(String),                      -- gen_ai.evaluation.name: feedback, or the evaluator's name
    evaluator LowCardinality(String),                 -- human | rule | judge | '' (a foreign application does not say)
    user_id String CODEC(ZSTD(1)),                    -- who gave it, for evaluator human
    score Nullable(Float64) CODEC(ZSTD(1)),           -- gen_ai.evaluation.score.value
    label LowCardinality(String),                     -- gen_ai.evaluation.score.label
    explanation String CODEC(ZSTD(1)),
    tags Array(LowCardinality(String)),
    error_type LowCardinality(String),                -- the evaluation itself failed
    evaluation_trace_id String CODEC(ZSTD(1)),        -- the run of the evaluator, which has its own cost
    service LowCardinality(String),
    evaluated_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    digest UInt64,                                    -- of the content, so that two at one moment stay two
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_evaluated_at evaluated_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, message_id, trace_id, name, evaluator, evaluated_at, digest)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 1000
