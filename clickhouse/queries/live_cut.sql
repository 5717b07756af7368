-- live_cut: the moment at which a page of missed events ends
-- grain:  one row, none when fewer than `limit` events were missed
-- source: otel_traces, the spans of one service that events are made of
-- units:  ns since 1970; received_ms: nothing that is looked for was received earlier
SELECT at_ns
FROM
(
    SELECT
        toUnixTimestamp64Nano(Timestamp) AS start_ns,
        arrayJoin([start_ns, start_ns + toInt64(Duration)]) AS at_ns
    FROM otel_traces
    WHERE
        Tenant = {tenant:String}
        AND ServiceName = {service:String}
        AND ReceivedAt >= fromUnixTimestamp64Milli({received_ms:Int64})
        AND (SpanAttributes['gen_ai.operation.name'] != '' OR SpanAttributes['spanledger.node.name'] != '')
)
WHERE at_ns > {after_ns:Int64}
ORDER BY at_ns
LIMIT 1 OFFSET {limit:UInt64}
