-- releases: the first span of each version of a service
-- grain:  service and version that began within the window
-- source: otel_metrics_gauge, otel_metrics_sum, otel_metrics_histogram: their resources are few, those of spans are many
-- units:  UTC
SELECT
    min(m.TimeUnix) AS time,
    concat(m.service, ' ', m.version) AS text,
    'release' AS tags
FROM
(
    SELECT TimeUnix, ServiceName AS service, ResourceAttributes['service.version'] AS version FROM otel_metrics_gauge WHERE Tenant = {tenant:String}
    UNION ALL
    SELECT TimeUnix, ServiceName AS service, ResourceAttributes['service.version'] AS version FROM otel_metrics_sum WHERE Tenant = {tenant:String}
    UNION ALL
    SELECT TimeUnix, ServiceName AS service, ResourceAttributes['service.version'] AS version FROM otel_metrics_histogram WHERE Tenant = {tenant:String}
) AS m
WHERE m.version != ''
GROUP BY m.service, m.version
HAVING time >= fromUnixTimestamp64Nano({first_ns:Int64}) AND time <= fromUnixTimestamp64Nano({last_ns:Int64})
ORDER BY time, text
