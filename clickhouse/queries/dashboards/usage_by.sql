-- usage_by: usage of a window by one dimension, dearest first
-- grain:  value of the dimension; '(none)' where an entry has none
-- source: usage_1m
-- units:  calls, tokens, USD, shares 0..1, seconds
-- by: a dimension of usage_1m. An empty only_* list does not filter.
SELECT
    if({by:Identifier} = '', '(none)', {by:Identifier}) AS series,
    sum(u.llm_calls) AS llm_calls,
    sum(u.failed_calls) AS failed_calls,
    sum(u.input_tokens) AS input_tokens,
    sum(u.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(u.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(u.cost_usd) AS cost_usd,
    sum(u.claimed_usd) AS claimed_usd,
    sum(u.claimed_calls) AS claimed_calls,
    sum(u.billed_calls) AS billed_calls,
    sum(u.computed_calls) AS computed_calls,
    sum(u.estimated_calls) AS estimated_calls,
    sum(u.unpriced_calls) AS unpriced_calls,
    sum(u.tool_calls) AS tool_calls,
    sum(u.failed_tool_calls) AS failed_tool_calls,
    sum(u.messages) AS messages,
    sum(u.input_tokens) + sum(u.output_tokens) AS total_tokens,
    sum(u.failed_calls) / nullIf(sum(u.llm_calls) + sum(u.failed_calls), 0) AS error_share,
    sum(u.unpriced_calls) / nullIf(sum(u.llm_calls), 0) AS unpriced_share,
    sum(u.cache_read_input_tokens) / nullIf(sum(u.input_tokens), 0) AS cache_share,
    sum(u.cost_usd) / nullIf(sum(u.llm_calls), 0) AS cost_per_call_usd,
    sumIf(u.duration_ns, u.kind = 'call') / nullIf(sum(u.llm_calls) + sum(u.failed_calls), 0) / 1e9 AS mean_call_s,
    sumIf(u.duration_ns, u.kind = 'tool') / nullIf(sum(u.tool_calls) + sum(u.failed_tool_calls), 0) / 1e9 AS mean_tool_s
FROM usage_1m AS u
WHERE
    u.tenant = {tenant:String}
    AND u.minute >= toDateTime({first_s:UInt32}, 'UTC')
    AND u.minute <= toDateTime({last_s:UInt32}, 'UTC')
    AND (empty({only_service:Array(String)}) OR has({only_service:Array(String)}, u.service))
    AND (empty({only_provider:Array(String)}) OR has({only_provider:Array(String)}, u.provider))
    AND (empty({only_model:Array(String)}) OR has({only_model:Array(String)}, u.model))
    AND (empty({only_workflow:Array(String)}) OR has({only_workflow:Array(String)}, u.workflow))
GROUP BY series
ORDER BY cost_usd DESC, total_tokens DESC, series
LIMIT {limit:UInt64}
