-- message_usage: usage of some messages
-- grain:  message
-- source: message_usage
-- units:  calls, tokens, USD
-- message_ids, conversation_ids: of the messages; key columns come first, so this reads a few granules
SELECT
    message_id,
    conversation_id,
    sum(m.llm_calls) AS llm_calls,
    sum(m.failed_calls) AS failed_calls,
    sum(m.input_tokens) AS input_tokens,
    sum(m.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(m.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(m.output_tokens) AS output_tokens,
    sum(m.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(m.cost_usd) AS cost_usd,
    sum(m.billed_calls) AS billed_calls,
    sum(m.computed_calls) AS computed_calls,
    sum(m.estimated_calls) AS estimated_calls,
    sum(m.unpriced_calls) AS unpriced_calls,
    sum(m.tool_calls) AS tool_calls,
    sum(m.failed_tool_calls) AS failed_tool_calls
FROM message_usage AS m
WHERE tenant = {tenant:String} AND message_id IN {message_ids:Array(String)} AND conversation_id IN {conversation_ids:Array(String)}
GROUP BY message_id, conversation_id
