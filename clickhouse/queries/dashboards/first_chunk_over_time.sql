-- first_chunk_over_time: how long streamed answers let their reader wait
-- grain:  bucket and model that served
-- source: genai_spans
-- units:  UTC seconds; seconds
SELECT
    toDateTime(intDiv(toUnixTimestamp(s.started_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    s.response_model AS series,
    quantile(0.95)(s.time_to_first_chunk_ns) / 1e9 AS p95_s
FROM genai_spans AS s
WHERE
    s.tenant = {tenant:String}
    AND s.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND s.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND s.time_to_first_chunk_ns IS NOT NULL
GROUP BY time, series
ORDER BY time, series
