-- Spool → otel_traces. A duration is never negative: a span that ends before it starts has none.
SELECT
    time_ns(s.start_time_unix_nano) AS Timestamp,
    id_text(s.trace_id) AS TraceId,
    id_text(s.span_id) AS SpanId,
    if(length(s.parent_span_id) = 8, id_text(s.parent_span_id), '') AS ParentSpanId,
    s.trace_state AS TraceState,
    s.name AS SpanName,
    transform(s.kind, [0, 1, 2, 3, 4, 5], ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'], '') AS SpanKind,
    resource['service.name'] AS ServiceName,
    resource AS ResourceAttributes,
    scope.name AS ScopeName,
    scope.version AS ScopeVersion,
    text_map(s.attributes) AS SpanAttributes,
    if(s.end_time_unix_nano > s.start_time_unix_nano, s.end_time_unix_nano - s.start_time_unix_nano, 0) AS Duration,
    transform(s.status.code, [0, 1, 2], ['Unset', 'Ok', 'Error'], '') AS StatusCode,
    s.status.message AS StatusMessage,
    arrayMap(e -> time_ns(e.time_unix_nano), s.events) AS `Events.Timestamp`,
    arrayMap(e -> e.name, s.events) AS `Events.Name`,
    arrayMap(e -> text_map(e.attributes), s.events) AS `Events.Attributes`,
    arrayMap(l -> id_text(l.trace_id), s.links) AS `Links.TraceId`,
    arrayMap(l -> id_text(l.span_id), s.links) AS `Links.SpanId`,
    arrayMap(l -> l.trace_state, s.links) AS `Links.TraceState`,
    arrayMap(l -> text_map(l.attributes), s.links) AS `Links.Attributes`,
    tenant_name(tenant, resource) AS Tenant,
    'BATCH' AS Batch,
    fromUnixTimestamp64Milli(toInt64(received_at_ms)) AS ReceivedAt
FROM
(
    SELECT received_at_ms, tenant, resource, ss.scope AS scope, arrayJoin(ss.spans) AS s
    FROM
    (
        SELECT received_at_ms, tenant, text_map(rs.resource.attributes) AS resource, arrayJoin(rs.scope_spans) AS ss
        FROM
        (
            SELECT received_at_ms, tenant, arrayJoin(resource_spans) AS rs
            FROM SOURCE
        )
    )
)
