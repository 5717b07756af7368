-- Spool → otel_metrics_exponential_histogram
SELECT
    resource AS ResourceAttributes,
    resource_schema_url AS ResourceSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_attributes AS ScopeAttributes,
    scope_dropped AS ScopeDroppedAttrCount,
    scope_schema_url AS ScopeSchemaUrl,
    resource['service.name'] AS ServiceName,
    metric.name AS MetricName,
    metric.description AS MetricDescription,
    metric.unit AS MetricUnit,
    text_map(p.attributes) AS Attributes,
    time_ns(p.start_time_unix_nano) AS StartTimeUnix,
    time_ns(p.time_unix_nano) AS TimeUnix,
    p.count AS Count,
    p.sum AS Sum,
    p.scale AS Scale,
    p.zero_count AS ZeroCount,
    p.positive.offset AS PositiveOffset,
    p.positive.bucket_counts AS PositiveBucketCounts,
    p.negative.offset AS NegativeOffset,
    p.negative.bucket_counts AS NegativeBucketCounts,
    arrayMap(e -> text_map(e.filtered_attributes), p.exemplars) AS `Exemplars.FilteredAttributes`,
    arrayMap(e -> time_ns(e.time_unix_nano), p.exemplars) AS `Exemplars.TimeUnix`,
    arrayMap(e -> number(e), p.exemplars) AS `Exemplars.Value`,
    arrayMap(e -> id_text(e.span_id), p.exemplars) AS `Exemplars.SpanId`,
    arrayMap(e -> id_text(e.trace_id), p.exemplars) AS `Exemplars.TraceId`,
    p.flags AS Flags,
    p.min AS Min,
    p.max AS Max,
    metric.exponential_histogram.aggregation_temporality AS AggregationTemporality,
    tenant_name(tenant, resource) AS Tenant,
    'BATCH' AS Batch,
    fromUnixTimestamp64Milli(toInt64(received_at_ms)) AS ReceivedAt
FROM
(
    SELECT *, arrayJoin(metric.exponential_histogram.data_points) AS p
    FROM
    (
        SELECT
            received_at_ms,
            tenant,
            resource,
            resource_schema_url,
            sm.schema_url AS scope_schema_url,
            sm.scope.name AS scope_name,
            sm.scope.version AS scope_version,
            sm.scope.dropped_attributes_count AS scope_dropped,
            text_map(sm.scope.attributes) AS scope_attributes,
            arrayJoin(sm.metrics) AS metric
        FROM
        (
            SELECT
                received_at_ms,
                tenant,
                text_map(rm.resource.attributes) AS resource,
                rm.schema_url AS resource_schema_url,
                arrayJoin(rm.scope_metrics) AS sm
            FROM
            (
                SELECT received_at_ms, tenant, arrayJoin(resource_metrics) AS rm
                FROM SOURCE
            )
        )
    )
)
