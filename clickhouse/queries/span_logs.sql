-- span_logs: the log records of one span, each once
-- grain:  log record, in time order
-- source: otel_logs
-- units:  at_ns since 1970 UTC
SELECT DISTINCT
    toUnixTimestamp64Nano(Timestamp) AS at_ns,
    TraceId AS trace_id,
    SpanId AS span_id,
    SeverityText AS severity,
    ServiceName AS service,
    ScopeName AS scope,
    EventName AS event_name,
    Body AS body,
    LogAttributes AS attributes
FROM otel_logs
WHERE Tenant = {tenant:String} AND TraceId = {trace_id:String} AND SpanId = {span_id:String}
ORDER BY at_ns, body
LIMIT {limit:UInt64}
