-- conversation_content_sizes: how much the spans of some traces say, where they carry content
-- grain:  span with content, in time order
-- source: otel_traces
-- units:  bytes
-- A span can be as large as a request: an answer looks at sizes before it reads texts.
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    length(SpanAttributes['gen_ai.input.messages']) + length(SpanAttributes['gen_ai.output.messages']) AS bytes
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND TraceId IN {trace_ids:Array(String)}
    AND bytes > 0
ORDER BY Timestamp, SpanId
LIMIT 1 BY TraceId, SpanId
LIMIT {limit:UInt64}
