-- raw spans: the message number `number / 10`, and the place of the span in its trace `number % 10`
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName,
    SpanAttributes, Duration, StatusCode, StatusMessage, ReceivedAt, Batch)
SELECT
    began + toIntervalMillisecond([0, 4, 8, 12, 20, 300, 320, 400, 410, 30][position]),
    lower(hex(MD5(concat({seed:String}, toString(trace))))),
    lower(hex(cityHash64({seed:String}, number))),
    if(position = 1, '', lower(hex(cityHash64({seed:String}, trace * 10 + [0, 0, 1, 2, 3, 1, 1, 6, 7, 1][position])))),
    ['POST /v1/conversations/{id}/messages', concat('invoke_workflow ', workflow), 'node model', concat('chat ', model), 'POST',
     'node tools', concat('execute_tool ', tool), concat('chat ', model), 'POST', 'embeddings text-embedding-3-small'][position],
    ['Server', 'Internal', 'Internal', 'Client', 'Client', 'Internal', 'Internal', 'Client', 'Client', 'Client'][position],
    service,
    mapFilter((k, v) -> v != '', map('service.name', service, 'service.version', if(released, '1.5.0', '1.4.2'),
        'spanledger.tenant', if(hc % 5 = 0, 'acme', ''))),
    ['opentelemetry.instrumentation.fastapi', 'app', 'app', 'app', 'opentelemetry.instrumentation.httpx',
     'app', 'app', 'app', 'opentelemetry.instrumentation.httpx', 'app'][position],
    mapFilter((k, v) -> v != '', map(
        'gen_ai.conversation.id', if(position = 2, concat('conv-', {seed:String}, toString(conversation)), ''),
        'user.id', if(position = 2, concat('user-', toString(hc % {users:UInt64})), ''),
        'spanledger.message.id', if(position = 2, concat('msg-', {seed:String}, toString(trace)), ''),
        'spanledger.correlation.id', if(position IN (1, 2), concat('corr-', {seed:String}, toString(trace)), ''),
        'gen_ai.workflow.name', if(position = 2, workflow, ''),
        'gen_ai.agent.name', if(position = 2, ['planner', 'writer'][hc % 2 + 1], ''),
        'gen_ai.prompt.name', if(is_chat, 'answer', ''),
        'gen_ai.prompt.version', if(is_chat, if(day > {days:Float64} - 0.4, '4', '3'), ''),
        'gen_ai.operation.name', ['', 'invoke_workflow', '', 'chat', '', '', 'execute_tool', 'chat', '', 'embeddings'][position],
        'gen_ai.tool.name', if(position = 7, tool, ''),
        'gen_ai.provider.name', if(is_chat, provider, if(is_embedding, 'openai', '')),
        'gen_ai.request.model', if(is_chat, model, if(is_embedding, 'text-embedding-3-small', '')),
        'gen_ai.response.model', if(failed, '', if(is_chat, model, if(is_embedding, 'text-embedding-3-small', ''))),
        'gen_ai.response.id', if((is_chat OR is_embedding) AND NOT failed, concat('resp-', {seed:String}, toString(number)), ''),
        'gen_ai.usage.input_tokens', if((is_chat OR is_embedding) AND NOT failed, toString(input_tokens), ''),
        'gen_ai.usage.cache_read.input_tokens', if(is_chat AND NOT failed AND position = 8, toString(intDiv(input_tokens, 2)), ''),
        'gen_ai.usage.output_tokens', if(is_chat AND NOT failed, toString(if(hs % 401 = 0, -1, output_tokens)), ''),
        'gen_ai.response.time_to_first_chunk', if(is_chat AND NOT failed, toString(took_ns / 4e9), ''),
        'gen_ai.usage.cost.amount', if(is_chat AND NOT failed AND choice = 2, toString(input_tokens * 0.0000025 + output_tokens * 0.00001), ''),
        'error.type', if(failed, ['RateLimitError', 'Timeout', 'InternalServerError'][hs % 3 + 1], ''),
        'http.request.method', if(position IN (1, 5, 9), 'POST', ''))),
    took_ns,
    if(failed OR (position IN (1, 2) AND h % 100 = 0), 'Error', 'Unset'),
    if(failed, 'the provider refused', ''),
    toDateTime64(began, 3) + toIntervalMillisecond(toInt64(took_ns / 1e6) + 540 + hs % 400),
    {batch:String}
FROM
(
    SELECT *,
        ['openai', 'openai', 'anthropic', 'gcp.gemini', 'in-house'][choice] AS provider,
        ['gpt-4o-mini', 'gpt-4o', 'claude-sonnet-4-5', 'gemini-2.5-flash', 'house-llm-2'][choice] AS model,
        (is_chat OR is_embedding) AND hs % 50 = 0 AS failed,
        -- more by day than by night: most when a whole number of days has passed, thus at the end too
        fromUnixTimestamp64Nano(toInt64({end_ns:Int64} - ({days:Float64} - day + 0.13 * sin(2 * pi() * day)) * 86400e9), 'UTC') AS began,
        toInt64([1700, 1650, 720, 700, 690, 80, 60, 850, 840, 25][position] * 1e6 * (0.5 + (hs % 1000) / 700 + if(hs % 97 = 0, 6, 0))) AS took_ns
    FROM
    (
        SELECT *,
            ['chat-service', 'chat-service', 'search-service', 'batch-summaries'][hc % 4 + 1] AS service,
            ['assistant', 'chat', 'research'][intDiv(hc, 7) % 3 + 1] AS workflow,
            [1, 1, 1, 2, 2, 3, 4, 4, 5, 1][intDiv(hc, 64) % 10 + 1] AS choice,
            position IN (4, 8) AS is_chat,
            position = 10 AS is_embedding,
            ['search', 'calculator', 'weather'][hs % 3 + 1] AS tool,
            day > {days:Float64} - 0.6 AS released,
            toInt64(300 + hs % 2600) AS input_tokens,
            toInt64(20 + intDiv(hs, 4096) % 600) AS output_tokens
        FROM
        (
            SELECT
                number,
                intDiv(number, 10) AS trace,
                number % 10 + 1 AS position,
                intDiv(number, 60) AS conversation,
                cityHash64('t', intDiv(number, 10)) AS h,
                cityHash64('s', number) AS hs,
                cityHash64('c', intDiv(number, 60)) AS hc,
                (intDiv(number, 10) + 0.5) / {traces:Float64} * {days:Float64} AS day
            FROM numbers({first:UInt64}, {count:UInt64})
        )
    )
)
