-- span_raw: one span as it was received, values cut; of duplicates the one that ended last
-- grain:  one row
-- source: otel_traces; service, span_name and the time let the primary key work
-- units:  at_ns since 1970 UTC; cut and cut_attributes in characters; cut = 0: nothing is cut
SELECT
    SpanKind AS kind,
    StatusMessage AS status_message,
    mapApply((k, v) -> (k, if({cut:UInt64} = 0, v, substringUTF8(v, 1, {cut:UInt64}))), ResourceAttributes) AS resource,
    mapApply((k, v) -> (k, if({cut:UInt64} = 0, v, substringUTF8(v, 1, {cut:UInt64}))), SpanAttributes) AS attributes,
    mapFilter((k, bytes) -> {cut:UInt64} != 0 AND bytes > {cut:UInt64}, mapApply((k, v) -> (k, lengthUTF8(v)), SpanAttributes)) AS cut_attributes,
    arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) AS event_ns,
    Events.Name AS event_names,
    arrayMap(m -> mapApply((k, v) -> (k, if({cut:UInt64} = 0, v, substringUTF8(v, 1, {cut:UInt64}))), m), Events.Attributes) AS event_attributes,
    Links.TraceId AS link_trace_ids,
    Links.SpanId AS link_span_ids
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
