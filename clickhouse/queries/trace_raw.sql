-- trace_raw: what the spans of some traces said, as received; of duplicates the one that ended last
-- grain:  span
-- source: otel_traces; services, span_names and the time range let the primary key work
-- units:  first_ns, last_ns since 1970 UTC bound the spans' start
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    SpanKind AS kind,
    StatusMessage AS status_message,
    ResourceAttributes AS resource,
    SpanAttributes AS attributes,
    arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) AS event_ns,
    Events.Name AS event_names,
    Events.Attributes AS event_attributes,
    Links.TraceId AS link_trace_ids,
    Links.SpanId AS link_span_ids
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND ServiceName IN {services:Array(String)}
    AND SpanName IN {span_names:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND TraceId IN {trace_ids:Array(String)}
ORDER BY toUnixTimestamp64Nano(Timestamp) + Duration DESC
LIMIT 1 BY TraceId, SpanId
