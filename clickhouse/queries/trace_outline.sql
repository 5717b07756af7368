-- trace_outline: what a tree of a trace shows of each span, without attributes
-- grain:  span, in time order
-- source: genai_spans
-- units:  started_ns since 1970 UTC, duration in ns
SELECT
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
    if(response_model != '', response_model, request_model) AS model,
    status,
    error_type,
    agent,
    tool,
    anomalies,
    message_id,
    conversation_id,
    user_id,
    correlation_id,
    workflow
FROM genai_spans FINAL
WHERE tenant = {tenant:String} AND trace_id = {trace_id:String}
ORDER BY started_at, duration_ns DESC, span_id
LIMIT {limit:UInt64}
