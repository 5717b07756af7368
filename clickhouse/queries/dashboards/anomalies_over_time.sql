-- anomalies_over_time: values that cannot be and were not counted, each span once
-- grain:  bucket and anomaly
-- source: genai_spans
-- units:  UTC seconds; spans
SELECT
    toDateTime(intDiv(toUnixTimestamp(s.started_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    arrayJoin(s.anomalies) AS series,
    uniqExact(s.trace_id, s.span_id) AS spans
FROM genai_spans AS s
WHERE
    s.tenant = {tenant:String}
    AND s.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND s.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND notEmpty(s.anomalies)
GROUP BY time, series
ORDER BY time, series
