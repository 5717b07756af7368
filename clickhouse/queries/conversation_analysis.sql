-- conversation_analysis: the analysis on the span that sealed a conversation
-- grain:  span; newest first
-- source: otel_traces, by the trace that the statement names
-- units:  at_ns since 1970 UTC
SELECT toUnixTimestamp64Nano(Timestamp) AS at_ns, TraceId AS trace_id, SpanAttributes AS attributes
FROM otel_traces
WHERE Tenant = {tenant:String} AND SpanName = 'seal conversation' AND TraceId IN {trace_ids:Array(String)}
ORDER BY Timestamp DESC
LIMIT 1 BY TraceId
