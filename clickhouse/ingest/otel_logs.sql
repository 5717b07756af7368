-- Spool → otel_logs. A record without a time has the time at which it was observed.
SELECT
    time_ns(if(r.time_unix_nano != 0, r.time_unix_nano, r.observed_time_unix_nano)) AS Timestamp,
    if(length(r.trace_id) = 16 AND r.trace_id != toFixedString('', 16), id_text(r.trace_id), '') AS TraceId,
    if(length(r.span_id) = 8 AND r.span_id != toFixedString('', 8), id_text(r.span_id), '') AS SpanId,
    toUInt8(bitAnd(r.flags, 255)) AS TraceFlags,
    r.severity_text AS SeverityText,
    toUInt8(if(r.severity_number BETWEEN 0 AND 255, r.severity_number, 0)) AS SeverityNumber,
    resource['service.name'] AS ServiceName,
    value_text(r.body) AS Body,
    resource_schema_url AS ResourceSchemaUrl,
    resource AS ResourceAttributes,
    scope_schema_url AS ScopeSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_attributes AS ScopeAttributes,
    text_map(r.attributes) AS LogAttributes,
    r.event_name AS EventName,
    tenant_name(tenant, resource) AS Tenant,
    'BATCH' AS Batch,
    fromUnixTimestamp64Milli(toInt64(received_at_ms)) AS ReceivedAt
FROM
(
    SELECT
        received_at_ms,
        tenant,
        resource,
        resource_schema_url,
        sl.schema_url AS scope_schema_url,
        sl.scope.name AS scope_name,
        sl.scope.version AS scope_version,
        text_map(sl.scope.attributes) AS scope_attributes,
        arrayJoin(sl.log_records) AS r
    FROM
    (
        SELECT
            received_at_ms,
            tenant,
            text_map(rl.resource.attributes) AS resource,
            rl.schema_url AS resource_schema_url,
            arrayJoin(rl.scope_logs) AS sl
        FROM
        (
            SELECT received_at_ms, tenant, arrayJoin(resource_logs) AS rl
            FROM SOURCE
        )
    )
)
