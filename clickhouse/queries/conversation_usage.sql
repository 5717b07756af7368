-- conversation_usage: usage of some conversations
-- grain:  conversation
-- source: conversation_usage
-- units:  messages, calls, tokens, USD
SELECT
    conversation_id,
    sum(c.messages) AS messages,
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
    sum(c.failed_tool_calls) AS failed_tool_calls
FROM conversation_usage AS c
WHERE tenant = {tenant:String} AND conversation_id IN {conversation_ids:Array(String)}
GROUP BY conversation_id
