"""Names of models, providers, conversations and users that came out wrong once, and more of the kind."""

from decimal import Decimal

from dialect_shared import OPENAI, Example

NAMES: dict[str, Example] = {
    "a provider with its company's ending": (
        {"gen_ai.operation.name": "chat", "gen_ai.system": "perplexity-ai", "gen_ai.request.model": "sonar"},
        {"provider": "perplexity"},
    ),
    "a provider by the name of its product": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "workers-ai.chat",
            "gen_ai.request.model": "@cf/meta/llama-2-7b-chat-int8",
        },
        {"provider": "cloudflare", "request_model": "@cf/meta/llama-2-7b-chat-int8"},
    ),
    "an instrumentation that never names the provider": (
        {
            "@scope": "openinference.instrumentation.openai_agents",
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 21,
        },
        {"provider": "openai"},
    ),
    "an instrumentation that names the provider of every host it knows": (
        {
            "@scope": "openinference.instrumentation.openai",
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 21,
        },
        {"provider": "openai_compatible"},
    ),
    "a path of a gateway": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "litellm",
            "gen_ai.request.model": "bedrock/converse/us.amazon.nova-lite-v1:0",
        },
        {"provider": "aws.bedrock", "request_model": "us.amazon.nova-lite-v1:0"},
    ),
    "a path with a region": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "litellm",
            "gen_ai.request.model": "bedrock/eu-west-1/anthropic.claude-v2",
        },
        {"provider": "aws.bedrock", "request_model": "anthropic.claude-v2"},
    ),
    "a resource name of Amazon": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0",
            "gen_ai.system": "langchain",
        },
        {"provider": "aws.bedrock", "request_model": "us.amazon.nova-pro-v1:0"},
    ),
    "a kind of API before the model": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "azure",
            "gen_ai.request.model": "azure/responses/gpt-5-mini",
        },
        {"provider": "azure.ai.openai", "request_model": "gpt-5-mini"},
    ),
    "an enum's word": (
        OPENAI | {"gen_ai.response.finish_reasons": ["FinishReason.MAX_TOKENS"]},
        {"finish_reason": "length"},
    ),
    "an enum's repr": (
        OPENAI | {"gen_ai.response.finish_reason": "<FinishReason.STOP: 'STOP'>"},
        {"finish_reason": "stop"},
    ),
    "a placeholder for an agent": (OPENAI | {"gen_ai.agent.name": "OpenAI Agent"}, {"agent": ""}),
    "the answer before is no conversation": (
        OPENAI | {"gen_ai.conversation.id": "resp_0123456789abcdef"},
        {"conversation_id": ""},
    ),
    "an OpenAI conversation is one": (OPENAI | {"gen_ai.conversation.id": "conv_01"}, {"conversation_id": "conv_01"}),
    "bare ids on a span about GenAI": (
        OPENAI | {"sessionId": "c1", "userId": "u1"},
        {"conversation_id": "c1", "user_id": "u1"},
    ),
    **{
        f"bare ids of other makes: {conversation}, {user}": (
            OPENAI | {conversation: "c1", user: "u1"},
            {"conversation_id": "c1", "user_id": "u1"},
        )
        for conversation, user in (
            ("chat_session_id", "usr.id"),
            ("sessionID", "userID"),
            ("openai.thread_id", "gen_ai.request.user_id"),
            ("langgraph.thread_id", "user_id"),
        )
    },
    "a thread of the operating system, the text of a prompt": (
        OPENAI | {"thread.id": "12", "user": "Tell me more"},
        {"conversation_id": "", "user_id": ""},
    ),
    "the name of a user beside an id": (
        OPENAI | {"user.name": "octocat", "ai.telemetry.metadata.userId": "u1"},
        {"user_id": "u1"},
    ),
    "bare ids of a web page": ({"sessionId": "c1", "userId": "u1"}, {"conversation_id": "", "user_id": ""}),
    "Langfuse's keys in LangChain's metadata": (
        OPENAI | {"metadata": {"langfuse_session_id": "c1", "langfuse_user_id": "u1"}},
        {"conversation_id": "c1", "user_id": "u1"},
    ),
    "Langfuse's keys spread": (
        OPENAI | {"metadata.langfuse_session_id": "c1", "langfuse.trace.metadata.langfuse_user_id": "u1"},
        {"conversation_id": "c1", "user_id": "u1"},
    ),
    "a plugin's tool": (
        {
            "@scope": "semantic_kernel.functions",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "Weather-today",
        },
        {"tool": "today"},
    ),
    "a tool with a dash elsewhere": (
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "web-search"},
        {"tool": "web-search"},
    ),
    "a bill within an answer found by its shape": (
        {
            "shape:x.reply": {
                "id": "gen-1",
                "model": "openai/gpt-4o",
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5},
            }
        },
        {"cost_claim_usd": Decimal("0.5"), "input_tokens": 1},
    ),
}

MORE_NAMES: dict[str, Example] = {
    **{
        f"the client {word}": (OPENAI | {"gen_ai.system": word}, {"provider": provider})
        for word, provider in (
            ("ChatOpenAI", "openai"),
            ("openai_responses", "openai"),
            ("AzureChatOpenAI", "azure.ai.openai"),
            ("azure.openai", "azure.ai.openai"),
            ("ChatAnthropic", "anthropic"),
            ("ChatBedrockConverse", "aws.bedrock"),
            ("bedrock-runtime", "aws.bedrock"),
            ("ChatMistralAI", "mistral_ai"),
            ("CohereChat", "cohere"),
            ("ChatXAI", "x_ai"),
            ("ChatTongyi", "dashscope"),
            ("WatsonxLLM", "ibm.watsonx.ai"),
            ("semantic-kernel", "openai"),
        )
    },
    **{
        f"the model {model} of {provider}": (
            OPENAI | {"gen_ai.system": provider, "gen_ai.request.model": model},
            {"provider": served, "request_model": bare},
        )
        for provider, model, served, bare in (
            ("openai", "openai:gpt-4o-mini", "openai", "gpt-4o-mini"),
            ("google", "googleai/gemini-2.5-flash", "gcp.gen_ai", "gemini-2.5-flash"),
            ("vertex_ai", "google/gemini-2.5-flash", "gcp.vertex_ai", "gemini-2.5-flash"),
            ("gemini", "gemini-2.5-flash:thinking", "gcp.gemini", "gemini-2.5-flash:thinking"),
            ("azure", "azure_ai/gpt-4o-mini", "azure.ai.openai", "gpt-4o-mini"),
            ("aws", "bedrock:us.amazon.nova-lite-v1:0", "aws.bedrock", "us.amazon.nova-lite-v1:0"),
            ("anthropic", "us.anthropic.claude-v2", "aws.bedrock", "us.anthropic.claude-v2"),
            ("ollama", "llama3.2:latest", "ollama", "llama3.2:latest"),
            ("openrouter", "openai/gpt-4o-mini", "openrouter", "openai/gpt-4o-mini"),
        )
    },
    **{
        f"the end {word}": (OPENAI | {"gen_ai.response.finish_reasons": [word]}, {"finish_reason": reason})
        for word, reason in (
            ("StopReason.END_TURN", "stop"),
            ("EndTurn", "stop"),
            ("ToolUse", "tool_calls"),
            ("finish_reason: STOP", "stop"),
            ("model_context_window_exceeded", "length"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("something-new", "something-new"),
        )
    },
    **{
        f"the agent {name!r}": (OPENAI | {"gen_ai.agent.name": name}, {"agent": ""})
        for name in ("Unnamed Agent", "UNKNOWN", "default_agent", "AIAgent")
    },
    **{
        f"a conversation in {key}": (OPENAI | {key: value}, {"conversation_id": "c1"})
        for key, value in (
            ("metadata", {"configurable": {"thread_id": "c1"}}),
            ("metadata.session.id", "c1"),
            ("gen_ai.conversation_id", "c1"),
            ("chatId", "c1"),
            ("wandb.thread_id", "c1"),
            ("mastra.metadata.threadId", "c1"),
            ("mastra.metadata.sessionId", "c1"),
        )
    },
    **{
        f"a user in {key}": (OPENAI | {key: value}, {"user_id": "u1"})
        for key, value in (
            ("metadata", {"user": {"id": "u1"}}),
            ("llm.invocation_parameters", {"user": "u1"}),
            ("openai.request.user", "u1"),
            ("user.email", "u1"),
            ("user.name", "u1"),
            ("gen_ai.caller.id", "u1"),
            ("gen_ai.caller.upn", "u1"),
            ("mastra.metadata.userId", "u1"),
            ("mastra.metadata.resourceId", "u1"),
        )
    },
}
