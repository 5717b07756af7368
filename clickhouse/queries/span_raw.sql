-- span_raw: one span as it was received, values cut; of duplicates the one that ended last
-- grain:  one row
-- source: otel_traces; service, span_name and the time let the primary key work
-- units:  at_ns since 1970 UTC; cut and cut_attributes in characters; cut = 0: no value is cut for its length; most,
--         left_out in bytes: a span larger than `most` is shown in part
WITH
    byteSize(SpanAttributes) + byteSize(ResourceAttributes) + byteSize(Events.Attributes) + byteSize(Events.Name)
        + 48 * length(Links.SpanId) AS content_bytes,
    content_bytes > {most:UInt64} AS is_large,
    if(is_large, 40, 1000000) AS shown,
    if(is_large, least(if({cut:UInt64} = 0, 1000000000, {cut:UInt64}), intDiv({most:UInt64}, 400)), {cut:UInt64}) AS width,
    (m) -> if(is_large, mapFromArrays(
        arraySlice(mapKeys(mapFilter((k, v) -> length(k) < 200, m)), 1, 40),
        arraySlice(mapValues(mapFilter((k, v) -> length(k) < 200, m)), 1, 40)), m) AS some
SELECT
    SpanKind AS kind,
    substringUTF8(StatusMessage, 1, 10000) AS status_message,
    mapApply((k, v) -> (k, if(width = 0, v, substringUTF8(v, 1, width))), some(ResourceAttributes)) AS resource,
    mapApply((k, v) -> (k, if(width = 0, v, substringUTF8(v, 1, width))), some(SpanAttributes)) AS attributes,
    mapFilter((k, length_) -> width != 0 AND length_ > width, mapApply((k, v) -> (k, lengthUTF8(v)), some(SpanAttributes))) AS cut_attributes,
    arraySlice(arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp), 1, shown) AS event_ns,
    arraySlice(Events.Name, 1, shown) AS event_names,
    arrayMap(m -> mapApply((k, v) -> (k, if(width = 0, v, substringUTF8(v, 1, intDiv(width, if(is_large, 40, 1))))), some(m)), arraySlice(Events.Attributes, 1, shown)) AS event_attributes,
    arraySlice(Links.TraceId, 1, shown) AS link_trace_ids,
    arraySlice(Links.SpanId, 1, shown) AS link_span_ids,
    if(is_large, greatest(1, toInt64(content_bytes) - toInt64(byteSize(attributes) + byteSize(resource) + byteSize(event_attributes))), 0) AS left_out
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND ServiceName = {service:String}
    AND SpanName = {span_name:String}
    AND Timestamp = fromUnixTimestamp64Nano({started_ns:Int64}, 'UTC')
    AND TraceId = {trace_id:String}
    AND SpanId = {span_id:String}
ORDER BY Duration DESC
LIMIT 1
