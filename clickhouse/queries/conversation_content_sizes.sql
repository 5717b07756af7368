-- conversation_content_sizes: how much the spans of some traces say, where they carry content
-- grain:  span with content, in time order
-- source: otel_traces
-- units:  bytes
-- A span can be as large as a request: an answer looks at sizes before it reads texts.
    -- include parts/place_of_traces
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    length(SpanAttributes['gen_ai.input.messages']) + length(SpanAttributes['gen_ai.output.messages']) AS bytes
FROM otel_traces
WHERE
    -- include parts/in_place
    AND bytes > 0
ORDER BY Timestamp, SpanId
LIMIT 1 BY TraceId, SpanId
LIMIT {limit:UInt64}
