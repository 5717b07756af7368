-- agent_decisions: what an agent decided and why, the latest first
-- grain:  decision
-- source: otel_traces, events `spanledger.decision` of the spans of an agent's nodes; kept as long as otel_traces are
-- units:  at_ns since 1970 UTC
-- An empty trace_id does not filter.
SELECT
    d.trace_id AS trace_id,
    d.span_id AS span_id,
    d.node AS node,
    d.conversation_id AS conversation_id,
    d.message_id AS message_id,
    d.user_id AS user_id,
    d.version AS version,
    toUnixTimestamp64Nano(d.event.1) AS at_ns,
    d.event.3 AS facts
FROM
(
    SELECT
        s.trace_id,
        s.span_id,
        s.node,
        s.conversation_id,
        s.message_id,
        s.user_id,
        s.version,
        arrayJoin(arrayFilter(e -> e.2 = 'spanledger.decision', s.events)) AS event
    FROM
    (
        SELECT
            TraceId AS trace_id,
            SpanId AS span_id,
            SpanName AS node,
            SpanAttributes['gen_ai.conversation.id'] AS conversation_id,
            SpanAttributes['spanledger.message.id'] AS message_id,
            SpanAttributes['user.id'] AS user_id,
            SpanAttributes['gen_ai.agent.version'] AS version,
            arrayZip(Events.Timestamp, Events.Name, Events.Attributes) AS events
        FROM otel_traces
        WHERE
            Tenant = {tenant:String}
            AND SpanName IN {nodes:Array(String)}
            AND SpanAttributes['gen_ai.agent.name'] = {agent:String}
            AND has(Events.Name, 'spanledger.decision')
            AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
            AND ({trace_id:String} = '' OR TraceId = {trace_id:String})
        LIMIT 1 BY TraceId, SpanId
    ) AS s
) AS d
ORDER BY at_ns DESC, span_id
LIMIT {limit:UInt64}
