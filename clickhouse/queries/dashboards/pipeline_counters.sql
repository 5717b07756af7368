-- pipeline_counters: what was refused, dropped or failed to be sent since the bucket before
-- grain:  bucket and metric (by exporter, where it names one)
-- source: otel_metrics_sum, cumulative counters; a counter that starts again counts from zero
-- units:  UTC seconds; as the metric
-- names: metric names; every tenant's, since a pipeline serves all
SELECT
    toDateTime(intDiv(toUnixTimestamp(p.at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    p.series AS series,
    sum(p.increase) AS value
FROM
(
    SELECT
        TimeUnix AS at,
        trimRight(concat(MetricName, ' ', Attributes['exporter'])) AS series,
        if(Value >= lagInFrame(Value, 1, Value) OVER one, Value - lagInFrame(Value, 1, Value) OVER one, Value) AS increase
    FROM otel_metrics_sum
    WHERE
        MetricName IN {names:Array(String)}
        AND AggregationTemporality = 2
        AND TimeUnix >= fromUnixTimestamp64Nano({first_ns:Int64})
        AND TimeUnix <= fromUnixTimestamp64Nano({last_ns:Int64})
    WINDOW one AS (PARTITION BY MetricName, Attributes, ServiceName, ResourceAttributes['service.instance.id'] ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) AS p
GROUP BY time, series
ORDER BY time, series
