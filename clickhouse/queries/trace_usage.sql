-- trace_usage: usage of some traces, by the span that stands for the call
-- grain:  trace and span
-- source: ledger
-- units:  calls, tokens, USD
SELECT
    trace_id,
    span_id,
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
    sum(l.failed_tool_calls) AS failed_tool_calls
FROM ledger AS l
WHERE tenant = {tenant:String} AND trace_id IN {trace_ids:Array(String)} AND kind IN ('call', 'tool')
GROUP BY trace_id, span_id
