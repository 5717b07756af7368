"""What spans of dialects that no capture shows say, as the libraries' own sources write them: attributes → columns.

"@scope" and "@name" are the span's own.
"""

from decimal import Decimal

CLAUDE = "claude-sonnet-4-5-20250929"
CACHED = {"input_tokens": 1200, "cache_read_input_tokens": 1024, "cache_write_input_tokens": 64, "output_tokens": 57}

LANGCHAIN_USAGE = {
    "input_tokens": 1200,
    "output_tokens": 57,
    "total_tokens": 1257,
    "input_token_details": {"cache_read": 1024, "cache_creation": 64},
    "output_token_details": {"reasoning": 9},
}
LANGCHAIN_OUTPUT = {
    "generations": [
        [{"message": {"kwargs": {"usage_metadata": LANGCHAIN_USAGE, "response_metadata": {"id": "msg_01x"}}}}]
    ],
    "llm_output": {},
}

DIALECTS = {
    "langsmith: an OpenAI wrapper, details as a Python dict": (
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.id": "chatcmpl-abc",
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 1257,
            "gen_ai.usage.input_token_details": "{'audio': 0, 'cache_read': 1024}",
            "gen_ai.usage.output_token_details": "{'audio': 0, 'reasoning': 40}",
            "langsmith.metadata.thread_id": "c1",
            "langsmith.metadata.user_id": "u1",
            "langsmith.trace.session_id": "a project, no session",
        },
        {
            "dialect": "langsmith",
            "role": "inference",
            "provider": "openai",
            "input_tokens": 1200,
            "cache_read_input_tokens": 1024,
            "reasoning_output_tokens": 40,
            "output_tokens": 57,
            "response_id": "chatcmpl-abc",
            "conversation_id": "c1",
            "user_id": "u1",
            "anomalies": [],
        },
    ),
    "langsmith: a LangChain run says its cache only in the completion": (
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "langchain",
            "langsmith.metadata.ls_provider": "anthropic",
            "langsmith.metadata.ls_model_name": CLAUDE,
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 1257,
            "gen_ai.completion": LANGCHAIN_OUTPUT,
        },
        {"role": "inference", "provider": "anthropic", "request_model": CLAUDE, "response_id": "msg_01x"}
        | CACHED
        | {"reasoning_output_tokens": 9},
    ),
    "langsmith: a retriever is no embedding, whatever its operation says": (
        {"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings", "gen_ai.system": "langchain"},
        {"role": "retrieval", "provider": ""},
    ),
    "langsmith: a prompt template is no call": (
        {"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"},
        {"role": "other"},
    ),
    "litellm v2: the model behind a proxy's alias": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "my-alias",
            "gen_ai.response.model": "my-alias",
            "litellm.provider.model": f"anthropic/{CLAUDE}",
            "gen_ai.response.id": "chatcmpl-614b344d-3927-44d0-b925-81780edf4920",
            "litellm.call_id": "7822ce24-e419-4cc8-9147-42770bc5ba32",
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.cache_creation.input_tokens": 64,
            "litellm.cost.total": 0.0017382,
            "litellm.request.streaming": True,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.conversation.id": "c1",
            "litellm.end_user.id": "u1",
            "server.address": "api.anthropic.com",
        },
        {
            "dialect": "litellm",
            "role": "inference",
            "provider": "anthropic",
            "request_model": CLAUDE,
            "response_model": "",
            "response_id": "chatcmpl-614b344d-3927-44d0-b925-81780edf4920",
            "cost_claim_usd": Decimal("0.0017382"),
            "cost_claim_source": "local",
            "stream": 1,
            "time_to_first_chunk_ns": 250_000_000,
            "conversation_id": "c1",
            "user_id": "u1",
        }
        | CACHED,
    ),
    "litellm v2: baggage alone makes no call": (
        {"gen_ai.request.model": "gpt-4o", "litellm.provider.model": "openai/gpt-4o", "litellm.metadata.user_id": "u1"},
        {"role": "", "provider": "", "request_model": "", "user_id": "u1"},
    ),
    "litellm v2: a guardrail": (
        {"litellm.guardrail.name": "pii", "litellm.cost.guardrail": 0.001, "gen_ai.request.model": "gpt-4o"},
        {"role": "guardrail", "cost_claim_usd": None},
    ),
    "ai sdk 7: the agent repeats its steps": (
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.agent.name": "support",
            "gen_ai.usage.input_tokens": 300,
            "gen_ai.usage.output_tokens": 30,
            "ai.settings.context.sessionId": "c1",
        },
        {"role": "agent", "agent": "support", "input_tokens": 300, "conversation_id": "c1"},
    ),
    "ai sdk 7: a step is no call": ({"gen_ai.operation.name": "agent_step"}, {"role": "chain"}),
    "ai sdk 5: Anthropic's input leaves out the cache": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": CLAUDE,
            "ai.usage.inputTokens": 112,
            "ai.usage.outputTokens": 57,
            "ai.usage.totalTokens": 169,
            "ai.usage.cachedInputTokens": 1024,
            "ai.response.providerMetadata": {"anthropic": {"cacheCreationInputTokens": 64}},
        },
        {"dialect": "vercel-ai", "role": "inference", "provider": "anthropic", "anomalies": []} | CACHED,
    ),
    "ai sdk 5: OpenAI's input includes the cache": (
        {
            "@name": "ai.streamText.doStream",
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "openai.responses",
            "ai.model.id": "gpt-4o",
            "ai.usage.inputTokens": 1200,
            "ai.usage.outputTokens": 57,
            "ai.usage.cachedInputTokens": 1024,
        },
        {"provider": "openai", "input_tokens": 1200, "cache_read_input_tokens": 1024, "stream": 1, "operation": "chat"},
    ),
    "ai sdk 4: older names": (
        {
            "ai.operationId": "ai.generateObject.doGenerate",
            "gen_ai.system": "google.generative-ai",
            "gen_ai.request.model": "gemini-2.5-flash",
            "ai.usage.promptTokens": 10,
            "ai.usage.completionTokens": 5,
        },
        {"role": "inference", "provider": "gcp.gemini", "input_tokens": 10, "output_tokens": 5},
    ),
    "ai sdk: the outer span": (
        {"ai.operationId": "ai.streamText", "ai.model.provider": "openai.chat", "ai.usage.inputTokens": 10},
        {"role": "agent", "input_tokens": 10},
    ),
    "openllmetry: Bedrock's input leaves out the cache": (
        {
            "@scope": "opentelemetry.instrumentation.bedrock",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gen_ai.usage.input_tokens": 112,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 169,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.cache_creation.input_tokens": 64,
        },
        {"provider": "aws.bedrock", "anomalies": []} | CACHED,
    ),
    "openllmetry of 2024": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 15,
            "traceloop.association.properties.thread_id": "c1",
        },
        {"role": "inference", "provider": "openai", "input_tokens": 10, "output_tokens": 5, "conversation_id": "c1"},
    ),
    "langfuse: its own words add up": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": CLAUDE,
            "langfuse.observation.usage_details": {
                "input": 112,
                "output": 57,
                "cache_read_input_tokens": 1024,
                "cache_creation_input_tokens": 64,
            },
        },
        {"provider": "anthropic", "response_model": CLAUDE} | CACHED,
    ),
    "langfuse: unless the total says otherwise": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": {
                "input": 1200,
                "output": 57,
                "total": 1257,
                "input_cached_tokens": 1024,
            },
        },
        {"input_tokens": 1200, "cache_read_input_tokens": 1024, "output_tokens": 57},
    ),
    "a raw usage of Gemini counts thoughts beside the answer": (
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.reasoning.output_tokens": 30,
            "gen_ai.usage.total_tokens": 150,
        },
        {"output_tokens": 50, "reasoning_output_tokens": 30, "anomalies": ["inferred:output_excludes_reasoning"]},
    ),
    "a gateway of unknown make is its host": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.openai.api_base": "https://llm.example.org/v1/",
            "gen_ai.request.model": "qwen3-32b",
        },
        {"provider": "llm.example.org", "server_address": "llm.example.org"},
    ),
    "a gateway that everybody knows": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "server.address": "openrouter.ai",
            "gen_ai.request.model": "anthropic/claude-sonnet-4.5",
        },
        {"provider": "openrouter", "request_model": "anthropic/claude-sonnet-4.5"},
    ),
    "azure under OpenAI's name": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "server.address": "acme.openai.azure.com",
            "gen_ai.request.model": "gpt-4o",
        },
        {"provider": "azure.ai.openai"},
    ),
    "a proxy on the same machine proves nothing": (
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "server.address": "127.0.0.1"},
        {"provider": "openai"},
    ),
    "semantic kernel": (
        {
            "gen_ai.operation.name": "chat.completions",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 10,
        },
        {"role": "inference", "operation": "chat"},
    ),
    "spring ai: the client around the call": (
        {"spring.ai.kind": "chat_client", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai"},
        {"role": "chain", "provider": ""},
    ),
    "google adk: usage without an operation": (
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 10,
            "gcp.vertex.agent.session_id": "c1",
        },
        {"role": "inference", "provider": "gcp.gemini", "conversation_id": "c1"},
    ),
    "mcp: a tool call": (
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "get_weather"},
        {"role": "tool", "tool": "get_weather"},
    ),
    "openrouter says what it billed": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "openrouter",
            "llm.model_name": "openai/gpt-4o",
            "output.value": {
                "id": "gen-123",
                "object": "chat.completion",
                "model": "openai/gpt-4o",
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.00042},
            },
        },
        {
            "provider": "openrouter",
            "response_id": "gen-123",
            "input_tokens": 10,
            "cost_claim_usd": Decimal("0.00042"),
            "cost_claim_source": "provider",
        },
    ),
    "a plain HTTP span stays almost empty": (
        {"http.request.method": "POST", "server.address": "api.openai.com", "session.id": "c1", "user.id": "u1"},
        {"role": "", "dialect": "", "provider": "", "server_address": "", "conversation_id": "c1", "user_id": "u1"},
    ),
}
