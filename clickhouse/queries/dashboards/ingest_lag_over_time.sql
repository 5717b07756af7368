-- ingest_lag_over_time: from the end of a span to its receipt
-- grain:  bucket of the receipt
-- source: otel_traces
-- units:  UTC seconds; seconds, negative when the sender's clock is ahead
SELECT
    toDateTime(intDiv(toUnixTimestamp(t.ReceivedAt), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    quantile(0.5)(t.lag_s) AS p50_s,
    quantile(0.95)(t.lag_s) AS p95_s,
    quantile(0.99)(t.lag_s) AS p99_s
FROM
(
    SELECT ReceivedAt, (toUnixTimestamp64Milli(ReceivedAt) - toUnixTimestamp64Nano(Timestamp) / 1e6 - Duration / 1e6) / 1e3 AS lag_s
    FROM otel_traces
    WHERE
        Tenant = {tenant:String}
        AND ReceivedAt >= fromUnixTimestamp64Nano({first_ns:Int64})
        AND ReceivedAt <= fromUnixTimestamp64Nano({last_ns:Int64})
) AS t
GROUP BY time
ORDER BY time
