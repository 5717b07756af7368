-- consumption_of_key: what came through a key has used since the starts of day and month
-- grain:  message in `apart`; all others together ('')
-- source: ledger; otel_traces says which spans came through the key
-- units:  tokens, USD, calls
SELECT
    if(has({apart:Array(String)}, message_id), message_id, '') AS message,
    sumIf(input_tokens + output_tokens, started_at >= {day:DateTime64(9, 'UTC')}) AS tokens_day,
    sumIf(cost_usd, started_at >= {day:DateTime64(9, 'UTC')}) AS usd_day,
    sum(cost_usd) AS usd_month,
    sumIf(unpriced_calls, started_at >= {day:DateTime64(9, 'UTC')}) AS unpriced_day,
    sum(unpriced_calls) AS unpriced_month,
    sum(llm_calls + failed_calls) AS calls
FROM ledger
WHERE
    tenant = {tenant:String}
    AND started_at >= {month:DateTime64(9, 'UTC')}
    AND (trace_id, span_id) IN
    (
        SELECT TraceId, SpanId
        FROM otel_traces
        WHERE
            Tenant = {tenant:String}
            AND Timestamp >= {month:DateTime64(9, 'UTC')}
            AND SpanAttributes['spanledger.key.id'] = {subject:String}
    )
GROUP BY message
