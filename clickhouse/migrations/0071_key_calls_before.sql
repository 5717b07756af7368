-- key_calls, this month's calls from before there was a view for it: budgets of keys go on where they are.
INSERT INTO key_calls (tenant, key_id, started_at, trace_id, span_id)
SELECT Tenant, SpanAttributes['spanledger.key.id'], Timestamp, TraceId, SpanId
FROM otel_traces
WHERE
    Timestamp >= toStartOfMonth(now())
    AND ReceivedAt >= toStartOfMonth(now()) - INTERVAL 1 DAY
    AND SpanKind = 'Client'
    AND SpanAttributes['spanledger.key.id'] != ''
    AND SpanAttributes['gen_ai.operation.name'] != ''
