-- user_usage_1d_mv: posts every ledger entry to user_usage_1d within the insert.
CREATE MATERIALIZED VIEW IF NOT EXISTS user_usage_1d_mv TO user_usage_1d AS
SELECT
    tenant,
    toDate(started_at) AS day,
    user_id,
    sum(l.llm_calls) AS llm_calls,
    sum(l.failed_calls) AS failed_calls,
    sum(l.input_tokens) AS input_tokens,
    sum(l.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(l.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(l.output_tokens) AS output_tokens,
    sum(l.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(l.cost_usd) AS cost_usd,
    sum(l.claimed_usd) AS claimed_usd,
    sum(l.claimed_calls) AS claimed_calls,
    sum(l.billed_calls) AS billed_calls,
    sum(l.computed_calls) AS computed_calls,
    sum(l.estimated_calls) AS estimated_calls,
    sum(l.unpriced_calls) AS unpriced_calls,
    sum(l.tool_calls) AS tool_calls,
    sum(l.failed_tool_calls) AS failed_tool_calls,
    sum(l.messages) AS messages,
    sum(l.duration_ns) AS duration_ns
FROM ledger AS l
GROUP BY tenant, day, user_id
