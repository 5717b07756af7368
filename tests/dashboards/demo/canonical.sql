-- raw spans in canonical names, for attributes of the current GenAI conventions
INSERT INTO genai_spans (tenant, trace_id, span_id, parent_span_id, version, started_at, duration_ns, service, scope, span_name, dialect,
    role, operation, provider, request_model, response_model, response_id, status, error_type, conversation_id, message_id, user_id,
    correlation_id, workflow, agent, tool, prompt, prompt_version, input_tokens, cache_read_input_tokens, output_tokens,
    cost_claim_usd, cost_claim_source, time_to_first_chunk_ns, anomalies, batch, received_at, normalised)
SELECT
    Tenant, TraceId, SpanId, ParentSpanId, toUInt128(toUnixTimestamp64Nano(Timestamp) + Duration), Timestamp, Duration, ServiceName,
    ScopeName, SpanName, 'gen_ai',
    transform(toString(a['gen_ai.operation.name']), ['chat', 'embeddings', 'execute_tool', 'invoke_workflow'],
        ['inference', 'embedding', 'tool', 'workflow'], ''),
    a['gen_ai.operation.name'], a['gen_ai.provider.name'], a['gen_ai.request.model'], a['gen_ai.response.model'], a['gen_ai.response.id'],
    lower(StatusCode), a['error.type'], a['gen_ai.conversation.id'], a['spanledger.message.id'], a['user.id'],
    a['spanledger.correlation.id'], a['gen_ai.workflow.name'], a['gen_ai.agent.name'], a['gen_ai.tool.name'], a['gen_ai.prompt.name'],
    a['gen_ai.prompt.version'], toInt64OrNull(a['gen_ai.usage.input_tokens']), toInt64OrNull(a['gen_ai.usage.cache_read.input_tokens']),
    if(a['gen_ai.usage.output_tokens'] = '-1', NULL, toInt64OrNull(a['gen_ai.usage.output_tokens'])),
    toDecimal128OrNull(a['gen_ai.usage.cost.amount'], 15), if(a['gen_ai.usage.cost.amount'] = '', '', 'local'),
    toInt64OrNull(toString(round(toFloat64OrNull(a['gen_ai.response.time_to_first_chunk']) * 1e9))),
    if(a['gen_ai.usage.output_tokens'] = '-1', ['negative:output_tokens'], []),
    Batch,
    ReceivedAt, 1
FROM (SELECT *, SpanAttributes AS a FROM otel_traces WHERE Batch = {batch:String})
