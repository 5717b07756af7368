-- key_calls_mv: the calls of models that came through an API key of this service.
CREATE MATERIALIZED VIEW IF NOT EXISTS key_calls_mv TO key_calls AS
SELECT
    Tenant AS tenant,
    SpanAttributes['spanledger.key.id'] AS key_id,
    Timestamp AS started_at,
    TraceId AS trace_id,
    SpanId AS span_id
FROM otel_traces
WHERE
    SpanKind = 'Client'
    AND SpanAttributes['spanledger.key.id'] != ''
    AND SpanAttributes['gen_ai.operation.name'] != ''
