-- trace_log_lines: the log records of one trace in the columns of Grafana's logs panel
-- grain:  log record, in time order
-- source: otel_logs
-- units:  UTC
SELECT DISTINCT
    Timestamp AS timestamp,
    Body AS body,
    lower(SeverityText) AS level,
    ServiceName AS service,
    SpanId AS span_id
FROM otel_logs
WHERE Tenant = {tenant:String} AND TraceId = {trace_id:String}
ORDER BY timestamp
LIMIT {limit:UInt64}
