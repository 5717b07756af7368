-- evaluations_of_spans_mv: every span event that tells of an evaluation lands in evaluations.
CREATE MATERIALIZED VIEW IF NOT EXISTS evaluations_of_spans_mv TO evaluations AS
SELECT
    Tenant AS tenant,
    attributes['spanledger.message.id'] AS message_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    coalesce(nullIf(attributes['gen_ai.conversation.id'], ''), attributes['session.id']) AS conversation_id,
    attributes['gen_ai.evaluation.name'] AS name,
    attributes['spanledger.evaluation.evaluator'] AS evaluator,
    attributes['spanledger.evaluation.user.id'] AS user_id,
    if(isFinite(ifNull(toFloat64OrNull(attributes['gen_ai.evaluation.score.value']) AS value, nan)), value, NULL) AS score,
    attributes['gen_ai.evaluation.score.label'] AS label,
    attributes['gen_ai.evaluation.explanation'] AS explanation,
    JSONExtract(attributes['spanledger.evaluation.tags'], 'Array(LowCardinality(String))') AS tags,
    attributes['error.type'] AS error_type,
    attributes['spanledger.evaluation.trace_id'] AS evaluation_trace_id,
    ServiceName AS service,
    event_at AS evaluated_at,
    cityHash64(SpanId, attributes) AS digest,
    '' AS facts_digest,
    '' AS seal,
    1 AS is_checked
FROM
(
    SELECT Tenant, TraceId, SpanId, ServiceName, mapConcat(mapFilter((k, v) -> k IN ('spanledger.message.id', 'gen_ai.conversation.id', 'session.id'), SpanAttributes), event.3) AS attributes,
        event.2 AS event_at
    FROM
    (
        SELECT Tenant, TraceId, SpanId, ServiceName, SpanAttributes,
            arrayJoin(arrayFilter(e -> e.1 = 'gen_ai.evaluation.result', arrayZip(Events.Name, Events.Timestamp, Events.Attributes))) AS event
        FROM otel_traces
        WHERE has(Events.Name, 'gen_ai.evaluation.result')
    )
)
