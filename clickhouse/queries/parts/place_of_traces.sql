-- place_of_traces: where some traces lie in otel_traces: their services, and when their first and last spans began
-- source: genai_spans, where the spans of a trace lie together
WITH
(
    SELECT (groupUniqArray(service), min(started_at), max(started_at)) FROM genai_spans
    WHERE tenant = {tenant:String} AND trace_id IN {trace_ids:Array(String)}
) AS place
