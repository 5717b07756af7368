-- pipeline_gauges: queues and spools, as the Collector and the OTLP door report them
-- grain:  bucket and metric (by exporter, where it names one)
-- source: otel_metrics_gauge
-- units:  UTC seconds; as the metric
-- names: metric names; every tenant's, since a pipeline serves all
SELECT
    toDateTime(intDiv(toUnixTimestamp(g.TimeUnix), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    trimRight(concat(g.MetricName, ' ', g.Attributes['exporter'])) AS series,
    max(g.Value) AS value
FROM otel_metrics_gauge AS g
WHERE
    g.MetricName IN {names:Array(String)}
    AND g.TimeUnix >= fromUnixTimestamp64Nano({first_ns:Int64})
    AND g.TimeUnix <= fromUnixTimestamp64Nano({last_ns:Int64})
GROUP BY time, series
ORDER BY time, series
