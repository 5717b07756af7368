-- calls_of_logs_mv: coding agents report their model calls and tools as log records. Each becomes a span: below the span
-- that the record belongs to, else in a trace of its turn. Ids are hashes of what the record says, so that a record sent
-- twice is one span. What only our own processes may say, and texts of prompts and answers, are left out.
CREATE MATERIALIZED VIEW IF NOT EXISTS calls_of_logs_mv TO otel_traces AS
SELECT
    addNanoseconds(ended_at, -toInt64(Duration)) AS Timestamp,
    if(trace != '', trace, lower(hex(sipHash128(tenant, ServiceName, agent, session, turn)))) AS TraceId,
    lower(leftPad(hex(cityHash64(tenant, ServiceName, agent, session, turn, ended_at, log_attributes)), 16, '0')) AS SpanId,
    parent AS ParentSpanId,
    if(kind = 'tool', concat('execute_tool ', tool), concat('chat ', log_attributes['model'])) AS SpanName,
    if(kind = 'tool', 'Internal', 'Client') AS SpanKind,
    ServiceName,
    ResourceAttributes,
    agent AS ScopeName,
    ScopeVersion,
    mapFilter((k, v) -> v != '', mapUpdate(
        mapFilter((k, v) -> NOT startsWith(k, 'spanledger.') AND k NOT IN (
            'event.name', 'prompt.id', 'prompt_id', 'user.id', 'prompt', 'response', 'response_text', 'arguments',
            'output', 'function_args', 'tool_input', 'tool_parameters', 'total_token_count', 'tool_token_count',
            'request_id', 'response_id', 'tool_name', 'function_name', 'request_text', 'error'), log_attributes),
        CAST(map(
            'gen_ai.operation.name', if(kind = 'tool', 'execute_tool', 'chat'),
            'gen_ai.conversation.id', session,
            'user.id', user,
            'gen_ai.response.id',
                if(kind = 'tool', '', coalesce(nullIf(log_attributes['request_id'], ''), log_attributes['response_id'])),
            'gen_ai.agent.name', coalesce(nullIf(log_attributes['agent.name'], ''), nullIf(log_attributes['subagent_name'], ''),
                if(trace = '', replace(extract(agent, '([a-z_-]+)\\.events$'), '_', '-'), '')),
            'gen_ai.tool.name', tool,
            'gen_ai.usage.total_tokens', if(is_google, log_attributes['total_token_count'], ''),
            'gen_ai.usage.tool_use.input_tokens', if(is_google, log_attributes['tool_token_count'], '')),
            'Map(LowCardinality(String), String)'))) AS SpanAttributes,
    least(toUInt64OrZero(log_attributes['duration_ms']), 86400000) * 1000000 AS Duration,
    if(kind = 'error' OR log_attributes['success'] = 'false', 'Error', 'Ok') AS StatusCode,
    if(kind = 'error', coalesce(nullIf(log_attributes['error'], ''), nullIf(log_attributes['error_message'], ''), log_attributes['error.message']), '')
        AS StatusMessage,
    tenant AS Tenant, Batch, ReceivedAt
FROM
(
    SELECT
        Timestamp AS ended_at, TraceId AS trace, SpanId AS parent, ServiceName, ResourceAttributes, ScopeVersion,
        Tenant AS tenant, Batch, ReceivedAt, LogAttributes AS log_attributes,
        if(EventName != '', EventName, LogAttributes['event.name']) AS event,
        multiIf(
            startsWith(event, 'codex.'), 'codex.events',
            startsWith(event, 'gemini_cli.'), 'gemini_cli.events',
            startsWith(event, 'qwen-code.'), 'qwen-code.events',
            startsWith(event, 'claude_code.') OR startsWith(Body, 'claude_code.'), 'com.anthropic.claude_code.events',
            '') AS agent,
        agent IN ('gemini_cli.events', 'qwen-code.events') AS is_google,
        replaceRegexpOne(event, '^[a-z_-]+\\.', '') AS what,
        multiIf(
            what = 'api_request' AND startsWith(agent, 'com.anthropic'), 'call',
            what IN ('sse_event', 'websocket_event') AND LogAttributes['event.kind'] = 'response.completed'
                AND LogAttributes['input_token_count'] != '', 'call',
            what = 'api_response' AND is_google, 'call',
            what = 'api_error', 'error',
            what IN ('tool_result', 'tool_call'), 'tool',
            '') AS kind,
        if(kind = 'tool', coalesce(nullIf(LogAttributes['tool_name'], ''), LogAttributes['function_name']), '') AS tool,
        coalesce(nullIf(LogAttributes['conversation.id'], ''), nullIf(LogAttributes['session.id'], ''),
            ResourceAttributes['session.id']) AS session,
        coalesce(nullIf(LogAttributes['prompt.id'], ''), nullIf(LogAttributes['prompt_id'], ''),
            LogAttributes['turn.id']) AS turn,
        coalesce(nullIf(LogAttributes['user.email'], ''), nullIf(LogAttributes['user.account_uuid'], ''),
            nullIf(LogAttributes['user.account_id'], ''), nullIf(LogAttributes['user.id'], ''),
            nullIf(ResourceAttributes['user.email'], ''), ResourceAttributes['user.id']) AS user
    FROM otel_logs
    WHERE agent != '' AND kind != ''
)
