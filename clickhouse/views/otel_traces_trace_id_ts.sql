-- otel_traces_trace_id_ts: when the spans of a trace began, under the name that the Collector's exporter gives it.
-- Grafana's ClickHouse plugin looks a trace's time range up here: min(Start), max(End).
-- grain:  one span
-- key:    none; asked by TraceId
-- source: genai_spans, which is ordered by tenant and trace
-- units:  Start, End UTC in seconds: both of the span's start, which is what otel_traces is filtered by
-- TTL:    none
CREATE VIEW IF NOT EXISTS otel_traces_trace_id_ts AS
SELECT tenant AS Tenant, trace_id AS TraceId, toDateTime(started_at) AS Start, toDateTime(started_at) AS End
FROM genai_spans
