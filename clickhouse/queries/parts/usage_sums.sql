-- usage_sums: the measures of the entries `e`, summed; the last columns of the usage_from_* queries
-- units:  calls, tokens, USD
    sum(e.llm_calls) AS llm_calls,
    sum(e.failed_calls) AS failed_calls,
    sum(e.input_tokens) AS input_tokens,
    sum(e.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(e.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(e.output_tokens) AS output_tokens,
    sum(e.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(e.cost_usd) AS cost_usd,
    sum(e.billed_calls) AS billed_calls,
    sum(e.computed_calls) AS computed_calls,
    sum(e.estimated_calls) AS estimated_calls,
    sum(e.unpriced_calls) AS unpriced_calls,
    sum(e.tool_calls) AS tool_calls,
    sum(e.failed_tool_calls) AS failed_tool_calls
