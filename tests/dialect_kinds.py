"""Kinds of tellings that came out wrong once: usage in unlisted places, totals that tell what stands beside, what is no
call, token classes, names. Attributes → columns, as in dialect_examples.

Keys that the view keeps for their shape begin with "shape:", those of events with "event:".
"""

from dialect_classes import CLASSES
from dialect_names import NAMES
from dialect_shared import GEMINI, LANGFUSE, OPENAI, Example, by_kind, counts

GOOGLE: dict[str, Example] = {
    "thoughts beside the output, told by the total": (
        GEMINI | counts(71, 260) | {"gen_ai.usage.thoughts_tokens": "640", "gen_ai.usage.total_tokens": "971"},
        {"output_tokens": 900, "reasoning_output_tokens": 640, "usage_estimated": 0},
    ),
    "thoughts within the output, told by the total": (
        GEMINI | counts(71, 900) | {"gen_ai.usage.thoughts_tokens": "640", "gen_ai.usage.total_tokens": "971"},
        {"output_tokens": 900, "reasoning_output_tokens": 640, "usage_estimated": 0, "anomalies": []},
    ),
    "only the total has them": (
        GEMINI | counts(15, 20) | {"gen_ai.usage.total_tokens": "135"},
        {"input_tokens": 15, "output_tokens": 120, "reasoning_output_tokens": 100, "usage_estimated": 1},
    ),
    "tool use and thoughts in a usage object": (
        LANGFUSE
        | {
            "langfuse.observation.usage_details": {
                "prompt_token_count": 9,
                "tool_use_prompt_token_count": 1000,
                "candidates_token_count": 50,
                "thoughts_token_count": 7,
                "cached_content_token_count": 4,
                "total_token_count": 1066,
            }
        },
        {"input_tokens": 1009, "output_tokens": 57, "reasoning_output_tokens": 7, "cache_read_input_tokens": 4},
    ),
    "Google's own usage in the provider's metadata": (
        GEMINI
        | counts(26, 63)
        | {
            "ai.response.providerMetadata": {
                "google": {
                    "usageMetadata": {
                        "promptTokenCount": 26,
                        "toolUsePromptTokenCount": 12504,
                        "candidatesTokenCount": 63,
                        "thoughtsTokenCount": 40,
                        "totalTokenCount": 12633,
                    }
                }
            }
        },
        {"input_tokens": 12530, "output_tokens": 103, "reasoning_output_tokens": 40},
    ),
    "experimental keys": (
        GEMINI | counts(10, 5) | {"gen_ai.usage.experimental.reasoning_tokens": "3", "gen_ai.usage.total_tokens": "18"},
        {"output_tokens": 8, "reasoning_output_tokens": 3},
    ),
    "camel case within the answer": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "google",
            "llm.model_name": "models/gemini-2.5-pro",
            "output.value": {
                "usageMetadata": {
                    "promptTokenCount": 8,
                    "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 30,
                    "totalTokenCount": 40,
                }
            },
        },
        {"provider": "gcp.gemini", "request_model": "gemini-2.5-pro", "input_tokens": 8, "output_tokens": 32},
    ),
    "another maker's total that fits nothing is a guess at best": (
        OPENAI | counts(10, 5) | {"gen_ai.usage.total_tokens": "99"},
        {"input_tokens": 10, "output_tokens": 5, "usage_estimated": 1, "anomalies": ["contradiction:total_tokens"]},
    ),
    "Vertex by its path": (
        GEMINI
        | {
            "gen_ai.system": "google",
            "gen_ai.request.model": "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash",
        },
        {"provider": "gcp.vertex_ai", "request_model": "gemini-2.5-flash"},
    ),
    "Vertex by its second word": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "google",
            "llm.system": "vertexai",
            "llm.model_name": "gemini-x",
        },
        {"provider": "gcp.vertex_ai"},
    ),
    "an endpoint that nobody names": (GEMINI | {"gen_ai.system": "google"}, {"provider": "gcp.gen_ai"}),
}

OPENAI_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 57,
    "total_tokens": 1257,
    "prompt_tokens_details": {"cached_tokens": 1024},
}
FOUND = {"input_tokens": 1200, "output_tokens": 57, "cache_read_input_tokens": 1024, "anomalies": ["found_by:shape"]}
PYDANTIC = (
    "ChatCompletion(id='chatcmpl-9', choices=[Choice(finish_reason='stop')], model='gpt-4o-mini-2024-07-18', "
    "usage=CompletionUsage(completion_tokens=57, prompt_tokens=1200, total_tokens=1257, "
    "prompt_tokens_details=PromptTokensDetails(audio_tokens=None, cached_tokens=1024)))"
)
REPR = (
    "{'model': 'm', 'usage': {'prompt_tokens': 1200, 'completion_tokens': 57, "
    "'prompt_tokens_details': {'cached_tokens': 1024}}}"
)
SHAPES: dict[str, Example] = {
    "an unknown key with the whole answer": (
        {
            "acme.llm": "yes",
            "shape:acme.reply": {
                "id": "chatcmpl-9",
                "object": "chat.completion",
                "model": "gpt-4o-mini-x",
                "usage": OPENAI_USAGE,
            },
        },
        FOUND
        | {"role": "inference", "response_model": "gpt-4o-mini-x", "provider": "openai", "response_id": "chatcmpl-9"},
    ),
    "a component's output with the repr of its message": (
        OPENAI | {"gen_ai.operation.name": "", "shape:haystack.component.output": {"replies": [PYDANTIC]}},
        FOUND | {"role": "inference"},
    ),
    "Ollama's words": (
        OPENAI | {"shape:response": {"model": "llama3.2", "prompt_eval_count": 33, "eval_count": 44, "done": True}},
        {"input_tokens": 33, "output_tokens": 44},
    ),
    "Llama's words on Bedrock": (
        OPENAI | {"shape:body": {"generation": "x", "prompt_token_count": 12, "generation_token_count": 5}},
        {"input_tokens": 12, "output_tokens": 5},
    ),
    "Cohere's bill goes before its count": (
        OPENAI
        | {
            "shape:response": {
                "meta": {
                    "billed_units": {"input_tokens": 14, "output_tokens": 9},
                    "tokens": {"input_tokens": 80, "output_tokens": 9},
                }
            }
        },
        {"input_tokens": 14, "output_tokens": 9},
    ),
    "the repr of a dict within JSON": (
        OPENAI | {"shape:x.output": {"meta": [REPR]}},
        FOUND,
    ),
    "flat keys of an unknown library": (
        OPENAI
        | {
            "shape:x.usage.input_tokens": "7",
            "shape:x.usage.output_tokens": "3",
            "shape:x.usage.cache_read_input_tokens": "2",
        },
        {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 2},
    ),
    "Bedrock's words": (
        OPENAI
        | {
            "gen_ai.system": "aws.bedrock",
            "shape:reply": {"usage": {"inputTokens": 5, "outputTokens": 6, "cacheReadInputTokens": 10}},
        },
        {"input_tokens": 15, "output_tokens": 6, "cache_read_input_tokens": 10},
    ),
    "Cohere's words": (
        OPENAI
        | {"gen_ai.system": "cohere", "shape:reply": {"meta": {"tokens": {"input_tokens": 5.0, "output_tokens": 6.0}}}},
        {"input_tokens": 5, "output_tokens": 6},
    ),
    "another path of the answer": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "output.value": {"meta": {"usage": OPENAI_USAGE}},
        },
        {"input_tokens": 1200, "output_tokens": 57, "cache_read_input_tokens": 1024},
    ),
    "a path of the answer that no table names": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "output.value": {"a": {"b": [{"stats": OPENAI_USAGE}]}},
        },
        FOUND,
    ),
    "two usages that disagree are none": (
        OPENAI | {"shape:a": {"usage": OPENAI_USAGE}, "shape:b": {"usage": OPENAI_USAGE | {"prompt_tokens": 3}}},
        {"input_tokens": None, "output_tokens": None},
    ),
    "a sum and its parts are the sum": (
        OPENAI
        | {
            "shape:a": {
                "steps": [
                    {"usage": {"prompt_tokens": 2, "completion_tokens": 1}},
                    {"usage": {"prompt_tokens": 3, "completion_tokens": 2}},
                ]
            },
            "shape:b": {"usage": {"prompt_tokens": 5, "completion_tokens": 3}},
        },
        {"input_tokens": 5, "output_tokens": 3},
    ),
    "a tool that returns usage is no call": (
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask", "shape:result": {"usage": OPENAI_USAGE}},
        {"role": "tool", "input_tokens": None},
    ),
    "a message on its way is no call": (
        {"shape:message": {"payload": {"models_usage": {"prompt_tokens": 5, "completion_tokens": 3}}}},
        {"role": "", "input_tokens": None},
    ),
    "settings of a request are no usage": (
        OPENAI | {"shape:llm.max_tokens": "500", "shape:config": {"max_input_tokens": 5, "note": "input_tokens"}},
        {"input_tokens": None, "anomalies": []},
    ),
    "events of a span": (
        {
            "event:class_name": "LLMChatStartEvent",
            "event:model_dict.class_name": "Anthropic_LLM",
            "event:response.raw.model": "claude-sonnet-4-5",
            "event:response.raw.id": "msg_1",
            "shape:response.raw.usage.input_tokens": "5",
            "shape:response.raw.usage.output_tokens": "6",
            "shape:response.raw.usage.cache_read_input_tokens": "10",
        },
        {"role": "inference", "provider": "anthropic", "response_id": "msg_1", "input_tokens": 15, "output_tokens": 6},
    ),
    "a model and a provider do something unknown": (
        {"gen_ai.operation.name": "ponder", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"},
        {"role": "inference", "input_tokens": None},
    ),
    "an agent that names its model calls nothing itself": (
        {"gen_ai.operation.name": "run_agent_loop", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"},
        {"role": "other"},
    ),
    "langwatch: metrics": (
        OPENAI | {"shape:langwatch.metrics": {"type": "json", "value": {"promptTokens": 4, "completionTokens": 2}}},
        {"input_tokens": 4, "output_tokens": 2},
    ),
}

NO_CALLS: dict[str, Example] = {
    "Anthropic counts tokens": (
        {
            "@name": "messages.count_tokens",
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude-sonnet-4-5",
            "llm.token_count.prompt": 9,
        },
        {"role": "other", "operation": "count_tokens", "input_tokens": None},
    ),
    "Google counts tokens": (GEMINI | {"gen_ai.operation.name": "countTokens"}, {"role": "other"}),
    "OpenAI counts tokens": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "output.value": {"object": "response.input_tokens", "input_tokens": 9},
        },
        {"role": "other", "input_tokens": None},
    ),
    "a tool that counts tokens is a tool": (
        {
            "@name": "execute_tool count_tokens",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "count_tokens",
        },
        {"role": "tool", "tool": "count_tokens"},
    ),
    "a finish of error without usage is a failure": (
        OPENAI | {"gen_ai.response.finish_reasons": ["error"], "@status": "ok"},
        {"status": "error"},
    ),
    "a finish of error with usage was served": (
        OPENAI | counts(3, 1) | {"gen_ai.response.finish_reasons": ["error"], "@status": "ok"},
        {"status": "ok", "input_tokens": 3},
    ),
    "a call that shows nothing may be a helper": (
        {
            "@name": "OpenAI._prepare",
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "output.value": {"messages": []},
        },
        {"role": "inference", "told_calls": 0},
    ),
    "a call with an answer is one": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.output_messages.0.message.role": "assistant",
        },
        {"role": "inference", "told_calls": None},
    ),
    "a crew tells of several calls": (
        {
            "openinference.span.kind": "CHAIN",
            "output.value": {
                "token_usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 4,
                    "cached_prompt_tokens": 3,
                    "successful_requests": 3,
                }
            },
        },
        {"role": "chain", "told_calls": 3, "input_tokens": 9, "cache_read_input_tokens": 3},
    ),
}

KINDS = by_kind(google=GOOGLE, shape=SHAPES, no_call=NO_CALLS, **{"class": CLASSES}, name=NAMES)
