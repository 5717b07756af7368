-- errors_over_time: failed spans by the error that they name, each span once
-- grain:  bucket and error type; '(not named)' where the span does not say
-- source: genai_spans
-- units:  UTC seconds; spans
SELECT
    toDateTime(intDiv(toUnixTimestamp(s.started_at), {bucket_s:Int64}) * {bucket_s:Int64}, 'UTC') AS time,
    if(s.error_type = '', '(not named)', s.error_type) AS series,
    uniqExact(s.trace_id, s.span_id) AS spans
FROM genai_spans AS s
WHERE
    s.tenant = {tenant:String}
    AND s.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND s.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND s.status = 'error'
GROUP BY time, series
ORDER BY time, series
