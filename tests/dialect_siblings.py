"""More of each kind in dialect_kinds: other instrumentations, vocabularies and languages that say the same facts.

Keys that the view keeps for their shape begin with "shape:", those of events with "event:".
"""

from dialect_classes import MORE_CLASSES
from dialect_names import MORE_NAMES
from dialect_shared import GEMINI, LLM, NAMED, OPENAI, Example, by_kind, counts, langfuse

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

SIBLINGS = by_kind(google=GOOGLE, shape=SHAPES, no_call=NO_CALLS, **{"class": MORE_CLASSES}, name=MORE_NAMES)
