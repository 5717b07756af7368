-- trace_raw: the raw spans of some traces; of duplicates the one that ended last
-- grain:  span
-- source: otel_traces; services, span_names and the time range let the primary key work
-- units:  first_ns, last_ns since 1970 UTC bound the spans' start; most in bytes
-- is_large: it says more than `most`, or its resource more than a quarter of that; trace_raw_large reads what is shown of it
-- Short, because the analysis of a statement costs more than reading a trace.
WITH
    byteSize(SpanAttributes) + byteSize(Events.Attributes) + byteSize(Events.Name) + 48 * length(Links.SpanId) > {most:UInt64}
        OR byteSize(ResourceAttributes) > intDiv({most:UInt64}, 4) AS is_large
SELECT
    is_large,
    TraceId AS trace_id,
    SpanId AS span_id,
    SpanKind AS kind,
    substringUTF8(StatusMessage, 1, 10000) AS status_message,
    if(is_large, map(), ResourceAttributes) AS resource,
    if(is_large, map(), SpanAttributes) AS attributes,
    arrayMap(t -> toUnixTimestamp64Nano(t), if(is_large, [], Events.Timestamp)) AS event_ns,
    if(is_large, [], Events.Name) AS event_names,
    if(is_large, [], Events.Attributes) AS event_attributes,
    if(is_large, [], Links.TraceId) AS link_trace_ids,
    if(is_large, [], Links.SpanId) AS link_span_ids,
    0 AS left_out
FROM otel_traces
WHERE
    -- include parts/raw_of_spans
ORDER BY toUnixTimestamp64Nano(Timestamp) + Duration DESC
LIMIT 1 BY TraceId, SpanId
