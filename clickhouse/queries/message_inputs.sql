-- message_inputs: what the first span with content of each trace was given
-- grain:  trace
-- source: otel_traces
-- units:  at_ns since 1970 UTC; most in bytes: a longer input is empty here, so that a page of messages stays small
-- first_ns, last_ns: when the spans started
SELECT
    TraceId AS trace_id,
    argMin(SpanId, Timestamp) AS span_id,
    toUnixTimestamp64Nano(min(Timestamp)) AS at_ns,
    argMin(if(length(SpanAttributes['gen_ai.input.messages']) <= {most:UInt64}, SpanAttributes['gen_ai.input.messages'], ''), Timestamp) AS input_messages
FROM otel_traces
WHERE
    Tenant = {tenant:String}
    AND TraceId IN {trace_ids:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND SpanAttributes['gen_ai.input.messages'] != ''
GROUP BY TraceId
