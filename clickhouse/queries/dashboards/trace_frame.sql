-- trace_frame: one trace in the columns of Grafana's trace panel, each span once
-- grain:  span, in time order
-- source: otel_traces, as received
-- units:  startTime and duration in ms; statusCode 2 is an error
SELECT
    t.TraceId AS traceID,
    t.SpanId AS spanID,
    t.ParentSpanId AS parentSpanID,
    t.ServiceName AS serviceName,
    t.SpanName AS operationName,
    toUnixTimestamp64Nano(t.Timestamp) / 1e6 AS startTime,
    t.Duration / 1e6 AS duration,
    t.SpanKind AS kind,
    if(t.StatusCode = 'Error', 2, 0) AS statusCode,
    t.StatusMessage AS statusMessage,
    t.TraceState AS traceState,
    arrayMap(k -> map('key', toString(k), 'value', t.SpanAttributes[k]), mapKeys(t.SpanAttributes)) AS tags,
    arrayMap(k -> map('key', toString(k), 'value', t.ResourceAttributes[k]), mapKeys(t.ResourceAttributes)) AS serviceTags,
    arrayMap(
        (at, name, attributes) -> CAST((toString(name), toString(toUnixTimestamp64Milli(at)), arrayMap(k -> map('key', toString(k), 'value', attributes[k]), mapKeys(attributes))),
            'Tuple(name String, timestamp String, fields Array(Map(String, String)))'),
        t.Events.Timestamp, t.Events.Name, t.Events.Attributes) AS logs
FROM otel_traces AS t
WHERE
    t.Tenant = {tenant:String}
    AND t.TraceId = {trace_id:String}
    AND t.SpanName IN (SELECT span_name FROM genai_spans WHERE tenant = {tenant:String} AND trace_id = {trace_id:String})
ORDER BY t.Timestamp, t.Duration DESC, t.SpanId
LIMIT 1 BY t.TraceId, t.SpanId
