-- raw_facts: the facts of spans as the view genai_spans_mv extracts them from the raw rows
-- grain:  span; of duplicates the one that lasted longest
-- source: otel_traces; services and the time range let the primary key work
-- units:  ns
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ScopeName AS scope,
    SpanName AS span_name,
    transform(lower(replaceOne(StatusCode, 'STATUS_CODE_', '')), ['ok', '1', 'error', '2'],
        ['ok', 'ok', 'error', 'error'], 'unset') AS status,
    toUnixTimestamp64Nano(Timestamp) AS started_at_ns,
    toInt64(if(Duration > 31622400000000000, 0, Duration)) AS duration_ns,
    CAST([], 'Array(String)') AS anomalies,
    SpanAttributes AS attributes,
    ResourceAttributes AS resource,
    map(
        'event:exception.type', Events.Attributes[indexOf(Events.Name, 'exception')]['exception.type'],
        'event:finish_reason', Events.Attributes[indexOf(Events.Name, 'gen_ai.choice')]['finish_reason'],
        'event:first_token_ns', if(has(Events.Name, 'First Token Stream Event'), toString(
            toUnixTimestamp64Nano(Events.Timestamp[indexOf(Events.Name, 'First Token Stream Event')])
                - toUnixTimestamp64Nano(Timestamp)), ''),
        'status:message', if(status = 'error', substringUTF8(toValidUTF8(substring(StatusMessage, 1, 1200)), 1, 300), '')) AS events
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND ServiceName IN {services:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND TraceId IN {trace_ids:Array(String)}
    AND SpanId IN {span_ids:Array(String)}
ORDER BY Duration DESC
LIMIT 1 BY TraceId, SpanId
