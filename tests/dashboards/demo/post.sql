-- what settlement would post, at a flat price, where millions of rows matter and their exact prices do not
INSERT INTO ledger (posted_at, reason, run_id, price_book, kind, tenant, trace_id, span_id, started_at, conversation_id, message_id,
    user_id, service, operation, provider, model, workflow, agent, tool, prompt, prompt_version, status, cost_state, llm_calls,
    failed_calls, input_tokens, cache_read_input_tokens, output_tokens, cost_usd, computed_calls, unpriced_calls, tool_calls, messages,
    duration_ns)
SELECT
    received_at + toIntervalMillisecond(400), 'settle', {batch:String}, 'bench',
    multiIf(role = 'workflow', 'message', role = 'tool', 'tool', 'call') AS kind_, tenant, trace_id,
    if(kind_ = 'message', '', span_id), started_at, w.1, w.2, w.3, service, operation, provider,
    if(response_model = '', request_model, response_model), w.4, w.5, tool, prompt, prompt_version,
    if(status = 'error', 'error', 'ok'),
    if(served = 0, '', if(provider = 'in-house', 'unpriced', 'computed')),
    toInt64(kind_ = 'call' AND status != 'error') AS served, toInt64(kind_ = 'call' AND status = 'error'), ifNull(input_tokens, 0),
    ifNull(cache_read_input_tokens, 0), ifNull(output_tokens, 0),
    if(provider = 'in-house', 0, ifNull(input_tokens, 0) * toDecimal128('0.00000015', 15) + ifNull(output_tokens, 0) * toDecimal128('0.0000006', 15)),
    served * (provider != 'in-house'), served * (provider = 'in-house'), toInt64(kind_ = 'tool'), if(kind_ = 'message', 2, 0), duration_ns
FROM
(
    SELECT *, any(if(role = 'workflow', (conversation_id, message_id, user_id, workflow, agent), NULL)) OVER (PARTITION BY trace_id) AS w
    FROM (SELECT * FROM genai_spans WHERE batch = {batch:String})
)
WHERE role != ''
