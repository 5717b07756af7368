-- calls_by_time, what the ledger held before there was a view for it. Where something is in the table already nothing
-- happens: what an interrupted run left out is posted by the recovery of the next start.
INSERT INTO calls_by_time (tenant, started_at, trace_id, span_id, kind, conversation_id, message_id, user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state, llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, claimed_usd, claimed_calls, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls, messages, duration_ns)
SELECT tenant, started_at, trace_id, span_id, kind, conversation_id, message_id, user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state,
    sum(llm_calls), sum(failed_calls), sum(input_tokens), sum(cache_read_input_tokens), sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens), sum(cost_usd), sum(claimed_usd), sum(claimed_calls), sum(billed_calls), sum(computed_calls), sum(estimated_calls), sum(unpriced_calls), sum(tool_calls), sum(failed_tool_calls), sum(messages), sum(duration_ns)
FROM ledger
WHERE (SELECT count() FROM calls_by_time) = 0 AND kind != 'message'
GROUP BY tenant, started_at, trace_id, span_id, kind, conversation_id, message_id, user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, variant, status, cost_state
