-- trace_logs: the log records of some traces, or of spans of them, each once
-- grain:  log record, in time order
-- source: otel_logs
-- span_ids: of which spans; an empty list does not filter
-- units:  at_ns since 1970 UTC; most, left_out in bytes: a record larger than its share of `most` is cut
WITH
    byteSize(raw_body) + byteSize(raw_attributes) AS content_bytes,
    greatest(2000, intDiv({most:UInt64}, count() OVER ())) AS share
SELECT
    at_ns,
    trace_id,
    span_id,
    severity,
    service,
    scope,
    event_name,
    if(content_bytes > share, substringUTF8(raw_body, 1, intDiv(share, 4)), raw_body) AS body,
    if(content_bytes > share, mapApply((k, v) -> (k, substringUTF8(v, 1, intDiv(share, 160))), mapFromArrays(
        arraySlice(mapKeys(mapFilter((k, v) -> length(k) < 200, raw_attributes)), 1, 40),
        arraySlice(mapValues(mapFilter((k, v) -> length(k) < 200, raw_attributes)), 1, 40))), raw_attributes) AS attributes,
    if(content_bytes > share, greatest(1, toInt64(content_bytes) - toInt64(byteSize(body) + byteSize(attributes))), 0) AS left_out
FROM
(
    SELECT DISTINCT
        toUnixTimestamp64Nano(Timestamp) AS at_ns,
        TraceId AS trace_id,
        SpanId AS span_id,
        SeverityText AS severity,
        ServiceName AS service,
        ScopeName AS scope,
        EventName AS event_name,
        Body AS raw_body,
        LogAttributes AS raw_attributes
    FROM otel_logs
    WHERE
        Tenant = {tenant:String} AND TraceId IN {trace_ids:Array(String)}
        AND (empty({span_ids:Array(String)}) OR SpanId IN {span_ids:Array(String)})
    ORDER BY at_ns, span_id, raw_body
    LIMIT {limit:UInt64}
)
ORDER BY at_ns, span_id, body
