-- evaluations_of_logs_mv: every log record that tells of an evaluation lands in evaluations.
CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_of_logs_mv TO evaluations AS
SELECT
    Tenant AS tenant,
    LogAttributes['spanledger.message.id'] AS message_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    coalesce(nullIf(LogAttributes['gen_ai.conversation.id'], ''), LogAttributes['session.id']) AS conversation_id,
    LogAttributes['gen_ai.evaluation.name'] AS name,
    LogAttributes['spanledger.evaluation.evaluator'] AS evaluator,
    LogAttributes['spanledger.evaluation.user.id'] AS user_id,
    if(isFinite(ifNull(toFloat64OrNull(if(seal = '', LogAttributes['gen_ai.evaluation.score.value'], LogAttributes['spanledger.evaluation.score'])) AS value, nan)), value, NULL) AS score,
    LogAttributes['gen_ai.evaluation.score.label'] AS label,
    LogAttributes['gen_ai.evaluation.explanation'] AS explanation,
    JSONExtract(LogAttributes['spanledger.evaluation.tags'], 'Array(LowCardinality(String))') AS tags,
    LogAttributes['error.type'] AS error_type,
    LogAttributes['spanledger.evaluation.trace_id'] AS evaluation_trace_id,
    ServiceName AS service,
    Timestamp AS evaluated_at,
    cityHash64(SpanId, LogAttributes) AS digest,
    lower(hex(SHA256(arrayStringConcat(arrayConcat(
        [Tenant, TraceId, toString(toUnixTimestamp64Nano(Timestamp))],
        arrayMap(name -> LogAttributes[name], [
            'spanledger.message.id', 'gen_ai.evaluation.name', 'spanledger.evaluation.evaluator',
            'spanledger.evaluation.score', 'gen_ai.evaluation.score.label', 'gen_ai.evaluation.explanation',
            'spanledger.evaluation.user.id', 'spanledger.evaluation.tags', 'spanledger.evaluation.trace_id',
            'error.type'])), char(31))))) AS facts_digest,
    LogAttributes['spanledger.entry.seal'] AS seal,
    1 AS is_checked
FROM otel_logs
WHERE EventName = 'gen_ai.evaluation.result' OR LogAttributes['event.name'] = 'gen_ai.evaluation.result'
