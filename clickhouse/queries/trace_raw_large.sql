-- trace_raw_large: what is shown of large raw spans, those that trace_raw names; of duplicates the one that ended last
-- grain:  span
-- source: otel_traces; services, span_names and the time range let the primary key work
-- units:  first_ns, last_ns since 1970 UTC bound the spans' start; most, left_out in bytes: of a span that says more than
--         `most` a part is shown, so that neither one span nor a shared resource makes an answer large
WITH
    byteSize(SpanAttributes) + byteSize(Events.Attributes) + byteSize(Events.Name) + 48 * length(Links.SpanId) AS content_bytes,
    byteSize(ResourceAttributes) AS resource_said,
    content_bytes > {most:UInt64} AS is_large,
    resource_said > intDiv({most:UInt64}, 4) AS is_large_resource
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    SpanKind AS kind,
    substringUTF8(StatusMessage, 1, 10000) AS status_message,
    if(is_large_resource, mapApply((k, v) -> (k, substringUTF8(v, 1, intDiv({most:UInt64}, 160))), mapFromArrays(
        arraySlice(mapKeys(mapFilter((k, v) -> length(k) < 200, ResourceAttributes)), 1, 40),
        arraySlice(mapValues(mapFilter((k, v) -> length(k) < 200, ResourceAttributes)), 1, 40))), ResourceAttributes) AS resource,
    if(is_large, mapApply((k, v) -> (k, substringUTF8(v, 1, intDiv({most:UInt64}, 80))), mapFromArrays(
        arraySlice(mapKeys(mapFilter((k, v) -> length(k) < 200, SpanAttributes)), 1, 40),
        arraySlice(mapValues(mapFilter((k, v) -> length(k) < 200, SpanAttributes)), 1, 40))), SpanAttributes) AS attributes,
    arraySlice(arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp), 1, if(is_large, 10, 1000000)) AS event_ns,
    arraySlice(Events.Name, 1, if(is_large, 10, 1000000)) AS event_names,
    if(is_large, arrayMap(m -> mapApply((k, v) -> (k, substringUTF8(v, 1, intDiv({most:UInt64}, 200))), mapFromArrays(
        arraySlice(mapKeys(mapFilter((k, v) -> length(k) < 200, m)), 1, 5),
        arraySlice(mapValues(mapFilter((k, v) -> length(k) < 200, m)), 1, 5))), arraySlice(Events.Attributes, 1, 10)), Events.Attributes) AS event_attributes,
    arraySlice(Links.TraceId, 1, if(is_large, 10, 1000000)) AS link_trace_ids,
    arraySlice(Links.SpanId, 1, if(is_large, 10, 1000000)) AS link_span_ids,
    if(is_large, greatest(1, toInt64(content_bytes) - toInt64(byteSize(attributes) + byteSize(event_attributes))), 0)
        + if(is_large_resource, greatest(1, toInt64(resource_said) - toInt64(byteSize(resource))), 0) AS left_out
FROM otel_traces
WHERE
    -- include parts/raw_of_spans
    AND SpanId IN {span_ids:Array(String)}
ORDER BY toUnixTimestamp64Nano(Timestamp) + Duration DESC
LIMIT 1 BY TraceId, SpanId
