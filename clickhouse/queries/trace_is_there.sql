-- trace_is_there: whether anything is known of a trace
-- grain:  a row if a span or a log record of it is there, else none
-- source: genai_spans, otel_logs
-- units:  none
SELECT 1 FROM genai_spans WHERE tenant = {tenant:String} AND trace_id = {trace_id:String}
UNION ALL
SELECT 1 FROM otel_logs WHERE Tenant = {tenant:String} AND TraceId = {trace_id:String}
LIMIT 1
