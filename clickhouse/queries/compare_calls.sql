-- compare_calls: the calls of some messages, conversations or users, by model and by what led to them
-- grain:  thing, provider, model, class (first | tool | retry)
-- source: calls_by_time
-- units:  calls, tokens, USD; last_ns since 1970 UTC
-- by: message, conversation or user. Class tool: a tool run of the message ended before it and no other call lies
-- between; retry: it failed after the provider had billed it.
SELECT
    id,
    provider,
    model,
    multiIf(status = 'error', 'retry', before = 'tool', 'tool', 'first') AS class,
    max(toUnixTimestamp64Nano(started_at)) AS last_ns,
    sum(calls) AS llm_calls,
    sum(failed) AS failed_calls,
    sum(tool_runs) AS tool_calls,
    sum(input) AS input_tokens,
    sum(cache_read) AS cache_read_input_tokens,
    sum(cache_write) AS cache_write_input_tokens,
    sum(output) AS output_tokens,
    sum(usd) AS cost_usd
FROM
(
    SELECT
        *,
        lagInFrame(kind, 1, '') OVER (
            PARTITION BY conversation_id, message_id, if(message_id = '', trace_id, '')
            ORDER BY started_at, trace_id, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before
    FROM
    (
        SELECT
            multiIf({by:String} = 'message', message_id, {by:String} = 'conversation', conversation_id, user_id) AS id,
            started_at, trace_id, span_id, kind::String AS kind, conversation_id, message_id, provider, model, status,
            sum(l.llm_calls) AS calls,
            sum(l.failed_calls) AS failed,
            sum(l.tool_calls) AS tool_runs,
            sum(l.input_tokens) AS input,
            sum(l.cache_read_input_tokens) AS cache_read,
            sum(l.cache_write_input_tokens) AS cache_write,
            sum(l.output_tokens) AS output,
            sum(l.cost_usd) AS usd
        FROM calls_by_time AS l
        WHERE
            tenant = {tenant:String}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
            AND id IN {ids:Array(String)}
        GROUP BY ALL
        HAVING calls != 0 OR failed != 0 OR tool_runs != 0
    )
)
GROUP BY id, provider, model, class
