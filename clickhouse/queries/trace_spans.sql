-- trace_spans: the spans of some traces in canonical names, each once
-- grain:  span, in time order
-- source: genai_spans
-- units:  started_ns since 1970 UTC, duration in ns; NULL tokens: the span did not say
SELECT
    trace_id,
    span_id,
    parent_span_id,
    toUnixTimestamp64Nano(started_at) AS started_ns,
    duration_ns,
    service,
    scope,
    span_name,
    role,
    operation,
    provider,
    request_model,
    response_model,
    status,
    error_type,
    conversation_id,
    message_id,
    user_id,
    correlation_id,
    workflow,
    agent,
    tool,
    anomalies
FROM genai_spans FINAL
WHERE tenant = {tenant:String} AND trace_id IN {trace_ids:Array(String)}
ORDER BY started_at, duration_ns DESC, span_id
LIMIT {limit:UInt64}
