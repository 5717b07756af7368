"""More of each kind in dialect_kinds: other instrumentations, vocabularies and languages that say the same facts.

Keys that the view keeps for their shape begin with "shape:", those of events with "event:".
"""

from typing import Any

Example = tuple[dict[str, Any], dict[str, Any]]
OPENAI = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
GEMINI = {"gen_ai.operation.name": "chat", "gen_ai.system": "gemini", "gen_ai.request.model": "gemini-2.5-flash"}
NAMED = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"}


def counts(input_tokens: int, output_tokens: int, **more: int) -> dict[str, str]:
    said = {"input_tokens": input_tokens, "output_tokens": output_tokens} | more
    return {f"gen_ai.usage.{name.replace('__', '.')}": str(count) for name, count in said.items()}


def langfuse(model: str, **usage: int) -> dict[str, Any]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": usage,
    }


GOOGLE: dict[str, Example] = {
    "Langfuse took the counts apart by kind of content": (
        langfuse(
            "gemini-2.5-flash",
            input=0,
            output=0,
            total=970,
            input_modality_1=71,
            output_modality_1=259,
            thoughts_token_count=640,
        ),
        {"input_tokens": 71, "output_tokens": 899, "reasoning_output_tokens": 640, "usage_estimated": 0},
    ),
    "and pictures": (
        langfuse("gemini-2.5-flash", input=0, output=20, total=320, input_modality_TEXT=42, input_modality_IMAGE=258),
        {"input_tokens": 300, "output_tokens": 20, "image_input_tokens": 258},
    ),
    "and what the cache served": (
        langfuse(
            "gemini-2.5-flash",
            input=0,
            output=20,
            total=1020,
            input_modality_TEXT=200,
            cached_modality_TEXT=800,
            cached_content_token_count=800,
        ),
        {"input_tokens": 1000, "output_tokens": 20, "cache_read_input_tokens": 800},
    ),
    "thoughts and no answer": (
        langfuse("gemini-2.5-pro", prompt_token_count=100, thoughts_token_count=600, total_token_count=700),
        {"input_tokens": 100, "output_tokens": 600, "reasoning_output_tokens": 600},
    ),
    "a library that adds tool use to the input": (
        GEMINI
        | {"@scope": "pydantic-ai", "gen_ai.system": "google-gla"}
        | counts(500, 50, details__thoughts_tokens=30, details__tool_use_prompt_tokens=400),
        {"provider": "gcp.gemini", "input_tokens": 500, "output_tokens": 50, "reasoning_output_tokens": 30},
    ),
    "a live session's words": (
        GEMINI
        | {
            "shape:acme.raw": {
                "usageMetadata": {
                    "promptTokenCount": 10,
                    "responseTokenCount": 7,
                    "thoughtsTokenCount": 3,
                    "totalTokenCount": 20,
                }
            }
        },
        {"input_tokens": 10, "output_tokens": 10, "reasoning_output_tokens": 3},
    ),
    "Genkit": (
        {
            "genkit:metadata:subtype": "model",
            "genkit:name": "googleai/gemini-2.5-flash",
            "shape:genkit:output": {
                "usage": {
                    "inputTokens": 100,
                    "outputTokens": 20,
                    "thoughtsTokens": 600,
                    "totalTokens": 720,
                    "cachedContentTokens": 10,
                }
            },
        },
        {
            "provider": "gcp.gemini",
            "request_model": "gemini-2.5-flash",
            "output_tokens": 620,
            "cache_read_input_tokens": 10,
        },
    ),
    "a maker's model on Vertex by its path": (
        GEMINI
        | {
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5",
        },
        {"provider": "gcp.vertex_ai", "request_model": "claude-sonnet-4-5"},
    ),
    **{
        f"the word {word}": (GEMINI | {"gen_ai.system": word}, {"provider": provider})
        for word, provider in (
            ("googleai", "gcp.gemini"),
            ("google_ai_studio", "gcp.gemini"),
            ("Gemini API", "gcp.gemini"),
            ("Vertex", "gcp.vertex_ai"),
            ("ChatVertexAI", "gcp.vertex_ai"),
            ("vertexai.generative_models", "gcp.vertex_ai"),
            ("AnthropicVertex", "gcp.vertex_ai"),
            ("ChatGoogleGenerativeAI", "gcp.gen_ai"),
        )
    },
}

_PRINTED = {
    "Java": "ChatResponse { metadata = ChatResponseMetadata{id='x', tokenUsage=TokenUsage { inputTokenCount = 12, "
    "outputTokenCount = 5, totalTokenCount = 17 }, finishReason=STOP} }",
    "Java without spaces": "ChatResponse [metadata={ id: , usage: DefaultUsage{promptTokens=12, completionTokens=5}}]",
    "Go": "{ID:x Model:gpt-4o-mini Usage:{PromptTokens:12 CompletionTokens:5 TotalTokens:17}}",
    "Rust": "Response { usage: Some(Usage { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 }) }",
    "Ruby": '{"usage"=>{"prompt_tokens"=>12, "completion_tokens"=>5, "total_tokens"=>17}}',
    "protobuf": 'content {\n  role: "model"\n}\nusage_metadata {\n  prompt_token_count: 12\n'
    "  candidates_token_count: 5\n}\n",
    "Pydantic without its name": "total_tokens=17 prompt_tokens=12 completion_tokens=5",
    "Cohere's bill": "Usage(billed_units=UsageBilledUnits(input_tokens=12.0, output_tokens=5.0, search_units=None), "
    "tokens=UsageTokens(input_tokens=80.0, output_tokens=5.0))",
}
SHAPES: dict[str, Example] = {
    **{
        f"as {language} prints it": (
            OPENAI | {"shape:x.reply": text},
            {"input_tokens": 12, "output_tokens": 5, "anomalies": ["found_by:shape"]},
        )
        for language, text in _PRINTED.items()
    },
    "as .NET names it": (
        OPENAI | {"shape:x": {"Usage": {"InputTokenCount": 12, "OutputTokenCount": 5, "TotalTokenCount": 17}}},
        {"input_tokens": 12, "output_tokens": 5},
    ),
    "Cohere's bill in camel case": (
        OPENAI
        | {
            "shape:x": {
                "meta": {
                    "billedUnits": {"inputTokens": 12, "outputTokens": 5},
                    "tokens": {"inputTokens": 80, "outputTokens": 5},
                }
            }
        },
        {"input_tokens": 12, "output_tokens": 5},
    ),
    "watsonx": (
        OPENAI | {"shape:x": {"results": [{"generated_token_count": 5, "input_token_count": 12}]}},
        {"input_tokens": 12, "output_tokens": 5},
    ),
    "numbers that are none": (
        OPENAI | {"shape:x": '{"usage": {"prompt_tokens": Infinity, "completion_tokens": 5}}'},
        {"role": "inference", "input_tokens": None, "anomalies": []},
    ),
    "settings within an answer are no usage": (
        OPENAI | {"shape:x": {"config": {"input_tokens": 4096, "output_tokens": 1024}}},
        {"input_tokens": None, "anomalies": []},
    ),
    **{
        f"{name} is a call": (NAMED | {"@name": name}, {"role": "inference"})
        for name in ("chat.completions.create", "responses.create", "messages.create", "batch_generate")
    },
    **{
        f"{name} is none": (NAMED | {"@name": name}, {"role": "other"})
        for name in ("threads.messages.create", "responses.cancel", "vector_stores.search", "conversations.create")
    },
    "a model that decides": (
        {
            "openinference.span.kind": "DECISION",
            "decision.model_name": "jev-1",
            "decision.provider": "typesafe",
            "decision.token_count.input": "12",
            "decision.token_count.output": "5",
        },
        {"role": "inference", "provider": "typesafe", "response_model": "jev-1", "input_tokens": 12},
    ),
}

NO_CALLS: dict[str, Example] = {
    **{
        f"{name} counts tokens": (LLM | {"@name": name}, {"role": "other", "operation": "count_tokens"})
        for name in (
            "messages.count-tokens",
            "count tokens",
            "cohere.tokenize",
            "ChatOpenAI.get_num_tokens_from_messages",
            "responses.input_tokens.count",
            "Models.CountTokens",
        )
    },
    "counted by its address": (
        GEMINI | {"gen_ai.usage.input_tokens": "9", "url.full": "https://x/v1beta/models/gemini-2.5-flash:countTokens"},
        {"role": "other", "input_tokens": None},
    ),
    "an answer that is a count": (
        LLM | {"output.value": {"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]}},
        {"role": "other", "input_tokens": None},
    ),
    "a call whose name speaks of input tokens": (
        OPENAI | {"@name": "chat with 200 input_tokens to spend"} | counts(3, 4),
        {"role": "inference", "input_tokens": 3},
    ),
    "an answer that says it failed": (
        OPENAI | {"gen_ai.response.finish_reasons": ["failed"], "@status": "ok"},
        {"status": "error"},
    ),
    **{
        f"{name} tells of several calls": (
            said,
            {"told_calls": 2, "input_tokens": 250, "output_tokens": 46},
        )
        for name, said in (
            (
                "a crew's text",
                {
                    "traceloop.span.kind": "workflow",
                    "shape:crew.usage_metrics": "total_tokens=296 prompt_tokens=250 completion_tokens=46 "
                    "successful_requests=2",
                },
            ),
            (
                "a crew's result",
                {
                    "openinference.span.kind": "CHAIN",
                    "shape:crew.result": {
                        "token_usage": {"prompt_tokens": 250, "completion_tokens": 46, "successful_requests": 2}
                    },
                },
            ),
            (
                "an agent's run",
                {
                    "openinference.span.kind": "AGENT",
                    "output.value": {"usage": {"requests": 2, "input_tokens": 250, "output_tokens": 46}},
                },
            ),
            (
                "camel case",
                {
                    "openinference.span.kind": "AGENT",
                    "output.value": {"usage": {"promptTokens": 250, "completionTokens": 46, "successfulRequests": 2}},
                },
            ),
        )
    },
    "a chain that does not say of how many tells nothing": (
        {
            "openinference.span.kind": "CHAIN",
            "shape:x": {"usage": {"prompt_tokens": 250, "completion_tokens": 46}},
        },
        {"input_tokens": None, "told_calls": None},
    ),
}

CLASSES: dict[str, Example] = {
    "cache writes in Langfuse's words": (
        langfuse("gpt-5.6", input=1200, output=5, total=1205, input_cached_tokens=200, input_cache_write_tokens=900),
        {"input_tokens": 1200, "cache_read_input_tokens": 200, "cache_write_input_tokens": 900},
    ),
    "cache writes as attributes": (
        OPENAI | counts(1200, 5, input_tokens_details__cache_write_tokens=900),
        {"cache_write_input_tokens": 900},
    ),
    "pictures in Langfuse's words": (
        langfuse("gpt-image-1", input=12, output=0, total=1328, input_image_tokens=260, output_image_tokens=1056),
        {"input_tokens": 272, "output_tokens": 1056, "image_input_tokens": 260, "image_output_tokens": 1056},
    ),
    "pictures in OpenInference's words": (
        LLM
        | {
            "llm.token_count.prompt": "272",
            "llm.token_count.completion": "1056",
            "llm.token_count.prompt_details.image": "260",
        },
        {"image_input_tokens": 260},
    ),
    "a part that Langfuse took off and no table names": (
        langfuse("gpt-5", input=0, output=40, total=1240, input_priority=200, input_priority_cache_read=1000),
        {"input_tokens": 1200, "cache_read_input_tokens": 1000},
    ),
    "sound of a realtime session": (
        OPENAI
        | {
            "shape:x": {
                "usage": {
                    "input_tokens": 132,
                    "output_tokens": 121,
                    "input_token_details": {"text_tokens": 19, "audio_tokens": 113, "cached_tokens": 64},
                    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
                }
            }
        },
        {"audio_input_tokens": 113, "audio_output_tokens": 91, "cache_read_input_tokens": 64},
    ),
    "how long Bedrock's writes last": (
        OPENAI
        | {
            "gen_ai.system": "aws.bedrock",
            "shape:x": {
                "usage": {
                    "inputTokens": 10,
                    "outputTokens": 5,
                    "cacheWriteInputTokens": 120,
                    "totalTokens": 135,
                    "cacheDetails": [{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 20}],
                }
            },
        },
        {"input_tokens": 130, "cache_write_input_tokens": 120, "cache_write_1h_input_tokens": 100},
    ),
    "an embedding's total": (
        OPENAI | {"gen_ai.operation.name": "embeddings", "gen_ai.usage.total_tokens": "12"},
        {"role": "embedding", "input_tokens": 12, "output_tokens": None},
    ),
    "a total of the wholes that leaves out a cache larger than the input": (
        OPENAI | {"gen_ai.system": "anthropic"} | counts(10, 5, cache_read_input_tokens=100, total_tokens=15),
        {"input_tokens": 110, "cache_read_input_tokens": 100, "usage_estimated": 0},
    ),
    "a total of the wholes that leaves out thoughts larger than the output": (
        GEMINI | counts(100, 20, reasoning_tokens=600, total_tokens=120),
        {"output_tokens": 620, "reasoning_output_tokens": 600, "usage_estimated": 0},
    ),
    **{
        f"a tier in {key}": (OPENAI | {key: value}, {"service_tier": "flex"})
        for key, value in (
            ("request_data", {"model": "gpt-5", "service_tier": "flex"}),
            ("mlflow.spanInputs", {"service_tier": "flex"}),
            ("input.value", {"input": "hi", "service_tier": "flex"}),
            ("llm.invocation_parameters", {"model_kwargs": {"service_tier": "flex"}}),
            ("anthropic.request.service_tier", "flex"),
        )
    },
}

NAMES: dict[str, Example] = {
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
        )
    },
    **{
        f"a user in {key}": (OPENAI | {key: value}, {"user_id": "u1"})
        for key, value in (
            ("metadata", {"user": {"id": "u1"}}),
            ("llm.invocation_parameters", {"user": "u1"}),
            ("openai.request.user", "u1"),
            ("user.email", "u1"),
        )
    },
}

SIBLINGS = {
    f"{kind}: {name}": example
    for kind, examples in {
        "google": GOOGLE,
        "shape": SHAPES,
        "no call": NO_CALLS,
        "class": CLASSES,
        "name": NAMES,
    }.items()
    for name, example in examples.items()
}
