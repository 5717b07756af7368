-- a log record of some requests and of every failed one
INSERT INTO otel_logs (Timestamp, TraceId, SpanId, SeverityText, SeverityNumber, ServiceName, Body, LogAttributes, Tenant)
SELECT Timestamp + toIntervalMillisecond(1), TraceId, SpanId, if(StatusCode = 'Error', 'ERROR', 'INFO'), if(StatusCode = 'Error', 17, 9),
    ServiceName, concat('handled ', SpanName), map('event', 'request'), Tenant
FROM otel_traces WHERE SpanKind = 'Server' AND (TraceId LIKE '%0' OR StatusCode = 'Error')
