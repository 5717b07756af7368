-- raw_spans: everything that was received of some traces, each span once: of duplicates the one that lasted longest
-- grain:  span
-- source: otel_traces; genai_spans supplies times and services, so that the primary key is used
-- units:  ns since 1970 UTC, duration in ns
    -- include parts/place_of_traces
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    TraceState AS trace_state,
    SpanName AS name,
    SpanKind AS kind,
    toUnixTimestamp64Nano(Timestamp) AS started_ns,
    Duration AS duration_ns,
    StatusCode AS status,
    StatusMessage AS status_message,
    ScopeName AS scope,
    ScopeVersion AS scope_version,
    ResourceAttributes AS resource,
    SpanAttributes AS attributes,
    arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) AS event_ns,
    Events.Name AS event_names,
    Events.Attributes AS event_attributes,
    Links.TraceId AS link_traces,
    Links.SpanId AS link_spans,
    Links.TraceState AS link_states,
    Links.Attributes AS link_attributes
FROM otel_traces
WHERE
    -- include parts/in_place
ORDER BY TraceId, SpanId, Duration DESC
LIMIT 1 BY TraceId, SpanId
