-- received_over_time: raw spans as they were received, repeats included
-- grain:  bucket and service
-- source: otel_traces
-- units:  UTC seconds; spans per second
SELECT
    toDateTime(intDiv(toUnixTimestamp(t.ReceivedAt), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    t.ServiceName AS series,
    count() / {bucket_s:Int64} AS spans_per_s
FROM otel_traces AS t
WHERE
    t.Tenant = {tenant:String}
    AND t.ReceivedAt >= fromUnixTimestamp64Nano({first_ns:Int64})
    AND t.ReceivedAt <= fromUnixTimestamp64Nano({last_ns:Int64})
GROUP BY time, series
ORDER BY time, series
