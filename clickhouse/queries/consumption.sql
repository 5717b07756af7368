-- consumption: what a tenant, one of its users, workflows or keys has used since the starts of day and month
-- grain:  message in `apart`; all others together ('')
-- source: ledger (one statement, so each entry is counted once); key_calls has the calls of a key
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
    AND multiIf(
        {scope:String} = 'user', user_id = {subject:String},
        {scope:String} = 'workflow', workflow = {subject:String},
        {scope:String} = 'tenant', tenant = {subject:String},
        (trace_id, span_id) IN
        (
            SELECT trace_id, span_id
            FROM key_calls
            WHERE
                {scope:String} = 'key'
                AND tenant = {tenant:String}
                AND key_id = {subject:String}
                AND started_at >= {month:DateTime64(9, 'UTC')}
        ))
GROUP BY message
