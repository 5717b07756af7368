-- live_records: log records that are events, in (after_ns, until_ns]
-- grain:  log record, each once
-- source: otel_logs of one service
-- units:  at_ns since 1970
SELECT DISTINCT
    EventName AS name,
    toUnixTimestamp64Nano(Timestamp) AS at_ns,
    SpanId AS span_id,
    TraceId AS trace_id,
    Body AS body,
    LogAttributes AS attributes
FROM otel_logs
WHERE
    Tenant = {tenant:String}
    AND ServiceName = {service:String}
    AND EventName IN {names:Array(String)}
    AND Timestamp > fromUnixTimestamp64Nano({after_ns:Int64})
    AND Timestamp <= fromUnixTimestamp64Nano({until_ns:Int64})
ORDER BY at_ns
LIMIT {limit:UInt64}
