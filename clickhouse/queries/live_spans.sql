-- live_spans: the spans that events are made of, of every trace in which one started or ended in (after_ns, until_ns]
-- grain:  span, each once; whole traces, because the end event of a run holds the sums of its calls
-- source: otel_traces, the spans of one service
-- units:  ns since 1970; received_ms: nothing that is looked for was received earlier; a run lasts a day at most
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_id,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    start_ns + toInt64(Duration) AS end_ns,
    StatusCode AS status,
    StatusMessage AS message,
    SpanAttributes AS attributes
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND ServiceName = {service:String}
    AND ReceivedAt >= fromUnixTimestamp64Milli({received_ms:Int64}) - INTERVAL 1 DAY
    AND (SpanAttributes['gen_ai.operation.name'] != '' OR SpanAttributes['spanledger.node.name'] != '')
    AND TraceId IN
    (
        SELECT TraceId
        FROM otel_traces
        WHERE
            Tenant = {tenant:String}
            AND ServiceName = {service:String}
            AND ReceivedAt >= fromUnixTimestamp64Milli({received_ms:Int64})
            AND (SpanAttributes['gen_ai.operation.name'] != '' OR SpanAttributes['spanledger.node.name'] != '')
            AND toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) > {after_ns:Int64}
            AND toUnixTimestamp64Nano(Timestamp) <= {until_ns:Int64}
    )
ORDER BY end_ns DESC
LIMIT 1 BY trace_id, span_id
