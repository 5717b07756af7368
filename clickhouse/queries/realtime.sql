-- realtime: what ended in a window
-- grain:  one row
-- source: calls_by_time
-- units:  calls, tokens, USD, ns
-- first_ns, last_ns: bounds of the end of a call; started_first_ns: no call is older (prunes granules)
-- The lines of a call add up: what a correction replaced comes to nothing. Calls are told apart by a hash of 64 bits:
-- FINAL compares twenty columns of each line, which costs six times as much.
SELECT
    sum(c.llm_calls) AS llm_calls,
    sum(c.failed_calls) AS failed_calls,
    sum(c.input_tokens) AS input_tokens,
    sum(c.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(c.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(c.output_tokens) AS output_tokens,
    sum(c.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(c.cost_usd) AS cost_usd,
    sum(c.billed_calls) AS billed_calls,
    sum(c.computed_calls) AS computed_calls,
    sum(c.estimated_calls) AS estimated_calls,
    sum(c.unpriced_calls) AS unpriced_calls,
    sum(c.tool_calls) AS tool_calls,
    sum(c.failed_tool_calls) AS failed_tool_calls,
    uniqExactIf(c.conversation, c.has_conversation) AS active_conversations,
    quantilesExactIf(0.5, 0.95, 0.99)(c.duration_ns, c.llm_calls + c.failed_calls > 0) AS latency_ns
FROM
(
    SELECT
        sum(l.llm_calls) AS llm_calls,
        sum(l.failed_calls) AS failed_calls,
        sum(l.input_tokens) AS input_tokens,
        sum(l.cache_read_input_tokens) AS cache_read_input_tokens,
        sum(l.cache_write_input_tokens) AS cache_write_input_tokens,
        sum(l.output_tokens) AS output_tokens,
        sum(l.reasoning_output_tokens) AS reasoning_output_tokens,
        sum(l.cost_usd) AS cost_usd,
        sum(l.billed_calls) AS billed_calls,
        sum(l.computed_calls) AS computed_calls,
        sum(l.estimated_calls) AS estimated_calls,
        sum(l.unpriced_calls) AS unpriced_calls,
        sum(l.tool_calls) AS tool_calls,
        sum(l.failed_tool_calls) AS failed_tool_calls,
        sum(l.duration_ns) AS duration_ns,
        any(cityHash64(conversation_id)) AS conversation,
        any(conversation_id != '') AS has_conversation,
        any(toUnixTimestamp64Nano(started_at)) + duration_ns AS ended_ns
    FROM calls_by_time AS l
    WHERE
        tenant = {tenant:String}
        AND kind IN ('call', 'tool')
        AND started_at >= fromUnixTimestamp64Nano({started_first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY cityHash64(started_at, trace_id, span_id, kind, conversation_id)
) AS c
WHERE c.ended_ns BETWEEN {first_ns:Int64} AND {last_ns:Int64} AND c.llm_calls + c.failed_calls + c.tool_calls > 0
