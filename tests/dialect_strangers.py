"""Usage of instrumentations, languages and APIs that no table names, and of those that name it in further words.

Keys that the view keeps for their shape begin with "shape:".
"""

from decimal import Decimal
from typing import Any

from dialect_shared import GEMINI, OPENAI, Example, by_kind, counts

_BEDROCK = OPENAI | {"gen_ai.system": "aws.bedrock", "gen_ai.request.model": "amazon.titan-text-express-v1"}
_USED = {"input_tokens": 12, "output_tokens": 5}
_PRINTED = {
    "PHP": "stdClass Object ( [model] => gpt-4o-mini [usage] => stdClass Object ( [prompt_tokens] => 12 "
    "[completion_tokens] => 5 [total_tokens] => 17 ) )",
    "YAML": "model: gpt-4o-mini\nusage:\n  prompt_tokens: 12\n  completion_tokens: 5\n  total_tokens: 17\n",
    "Pydantic as a text": "model='x' done=True prompt_eval_count=12 eval_count=5 message=Message(role='a', n=7)",
    "Elixir": '%{model: "gpt-4o-mini", usage: %{prompt_tokens: 12, completion_tokens: 5}}',
    "Kotlin": "ChatCompletion(model=ModelId(id=gpt-4o-mini), usage=Usage(promptTokens=12, completionTokens=5))",
    "Swift": 'ChatResult(model: "gpt-4o-mini", usage: Optional(Usage(promptTokens: 12, completionTokens: 5)))',
}


def stranger(**attributes: Any) -> dict[str, Any]:
    """A span of a library that nobody knows."""
    return {"@scope": "acme", "@name": "ask"} | {f"shape:{key.replace('__', '.')}": v for key, v in attributes.items()}


SHAPES: dict[str, Example] = {
    **{f"as {what} prints it": (OPENAI | {"shape:x": text}, _USED) for what, text in _PRINTED.items()},
    "flat keys with the model above them": (
        stranger(acme__model="gpt-4o-mini", acme__usage__prompt_tokens="12", acme__usage__completion_tokens="5"),
        _USED | {"role": "inference", "provider": "openai", "response_model": "gpt-4o-mini"},
    ),
    "flat keys with the model elsewhere": (
        stranger(
            _ml_obs__meta__model_name="gpt-4o-mini",
            _ml_obs__metrics__input_tokens="12",
            _ml_obs__metrics__output_tokens="5",
        ),
        _USED | {"role": "inference", "response_model": "gpt-4o-mini"},
    ),
    "a model beside a usage object": (
        stranger(llm__model="gpt-4o-mini", llm__token__counts={"input_tokens": 12, "output_tokens": 5}),
        _USED | {"role": "inference", "response_model": "gpt-4o-mini"},
    ),
    "the model served goes before the one asked for": (
        stranger(
            x__request__model="fast", x__response__model="gpt-4o-mini", y={"input_tokens": 12, "output_tokens": 5}
        ),
        _USED | {"response_model": "gpt-4o-mini"},
    ),
    "two models are none": (
        stranger(x__model="gpt-4o", y__model="gpt-4o-mini", z={"input_tokens": 12, "output_tokens": 5}),
        {"role": "", "input_tokens": None},
    ),
    "Titan's answer": (
        _BEDROCK | {"shape:body": {"inputTextTokenCount": 12, "results": [{"tokenCount": 2}, {"tokenCount": 3}]}},
        _USED,
    ),
    "Titan's last chunk": (
        _BEDROCK | {"shape:body": {"inputTextTokenCount": 12, "totalOutputTextTokenCount": 5, "index": 0}},
        _USED,
    ),
    "headers of Bedrock": (
        _BEDROCK | {"shape:x": {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "5"}},
        _USED,
    ),
    "a usage by whole and parts": (
        OPENAI
        | {
            "shape:x": {
                "inputTokens": {"total": 12, "noCache": 2, "cacheRead": 10},
                "outputTokens": {"total": 5, "reasoning": 3},
            }
        },
        _USED | {"cache_read_input_tokens": 10, "reasoning_output_tokens": 3},
    ),
    **{
        f"an embedding's input alone: {name}": (
            {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e", "shape:x": usage},
            {"role": "embedding", "input_tokens": 9, "output_tokens": None},
        )
        for name, usage in (
            ("Cohere", {"meta": {"billed_units": {"input_tokens": 9}}}),
            ("Titan", {"embedding": [], "inputTextTokenCount": 9}),
        )
    },
    "an estimate": (
        OPENAI | {"shape:x": [{"tokenUsageEstimate": {"promptTokens": 12, "completionTokens": 5}}]},
        _USED | {"usage_estimated": 1},
    ),
    "an estimate beside what was measured": (
        OPENAI
        | {"shape:x": {"estimated": {"promptTokens": 10, "completionTokens": 5}}}
        | {"shape:y": {"tokenUsage": {"promptTokens": 12, "completionTokens": 5}}},
        _USED | {"usage_estimated": 0},
    ),
    "an answer's input alone is no usage": (OPENAI | {"shape:x": {"u": {"input_tokens": 9}}}, {"input_tokens": None}),
}

ALONE: dict[str, Example] = {
    **{
        f"a model and a total alone: {name}": (attributes, {"role": "inference", "input_tokens": None})
        for name, attributes in {
            "with a provider": {"@name": "retry", "model_name": "m-9", "provider": "acme", "shape:usage.total": "77"},
            "without": {"@name": "ask", "model": "m-9", "shape:total_tokens": "77"},
            "in other words": stranger(gpt__model="m-9", gpt__tokens__used="77"),
            "in unknown keys": stranger(x__model="m-9", x__tokens__total="77"),
        }.items()
    },
    **{
        f"a model and no count of its tokens: {name}": (attributes, {"role": ""})
        for name, attributes in {
            "a limit": {"@name": "ask", "model": "m-9", "shape:max_tokens": "77"},
            "another count": {"@name": "login", "model": "m-9", "shape:revoked_tokens": "77"},
            "no model": {"@name": "ask", "provider": "acme", "shape:total_tokens": "77"},
        }.items()
    },
    "a step that prints the sum of its calls": (
        {"openinference.span.kind": "CHAIN"}
        | {"output.value": "raw='x' token_usage=Usage(prompt_tokens=400, completion_tokens=40, successful_requests=4)"},
        {"role": "chain", "input_tokens": 400, "output_tokens": 40, "told_calls": 4},
    ),
    "a step that prints the usage of a call": (
        {"openinference.span.kind": "CHAIN"}
        | {"output.value": "raw='x' token_usage=Usage(prompt_tokens=400, completion_tokens=40)"},
        {"role": "chain", "input_tokens": None},
    ),
    "a tool that is named by its span alone": (
        {"@name": "langchain4j.tools.getWeather", "name:|langchain4j.tools.": "getWeather"},
        {"role": "tool", "operation": "execute_tool", "tool": "getWeather"},
    ),
    "a function of OpenAI's agents": (
        {"@scope": "logfire.openai_agents", "@name": "Function: find", "gen_ai.system": "openai"}
        | {"name:logfire.openai_agents|Function: ": "find"},
        {"role": "tool", "tool": "find"},
    ),
    "a coding agent's record of a tool as a span": (
        {"@name": "Tool call: read_file.", "event.name": "qwen-code.tool_call", "function_name": "read_file"},
        {"role": "tool", "tool": "read_file"},
    ),
    "Braintrust's words": (
        {"@name": "lookup", "braintrust.span_attributes": {"type": "tool", "name": "lookup"}},
        {"role": "tool", "tool": "lookup"},
    ),
    "LiveKit's tool": (
        {"@name": "function_tool", "lk.function_tool.name": "lookup", "lk.function_tool.id": "1"},
        {"role": "tool", "tool": "lookup"},
    ),
    "a plugin's tool in .NET": (
        {"@scope": "Microsoft.SemanticKernel", "gen_ai.operation.name": "execute_tool"}
        | {"gen_ai.tool.name": "Weather-Get"},
        {"role": "tool", "tool": "Get"},
    ),
    "a function that is no tool": (
        {"@name": "load", "function_name": "load", "user.id": "u"},
        {"role": "", "tool": ""},
    ),
    **{
        f"the engine {engine} traces itself": (
            {"@scope": f"{engine}.engine", "@name": "llm_request", "gen_ai.usage.prompt_tokens": "12"}
            | {"gen_ai.usage.completion_tokens": "5", "gen_ai.response.model": "Qwen/Qwen3-8B"},
            _USED | {"role": "inference", "provider": engine, "response_model": "Qwen/Qwen3-8B"},
        )
        for engine in ("vllm", "sglang")
    },
}

GOOGLE: dict[str, Example] = {
    "the words of Interactions": (
        GEMINI
        | {
            "shape:x": {
                "usage": {
                    "total_input_tokens": 10,
                    "total_output_tokens": 5,
                    "total_thought_tokens": 85,
                    "total_tool_use_tokens": 20,
                    "total_cached_tokens": 4,
                    "total_tokens": 120,
                }
            }
        },
        {"input_tokens": 30, "output_tokens": 90, "reasoning_output_tokens": 85, "cache_read_input_tokens": 4},
    ),
    "sums in such words are none": (
        GEMINI | {"shape:x": {"total_input_tokens": 10, "total_output_tokens": 5}},
        {"input_tokens": None},
    ),
    "a total in Google's word": (
        GEMINI | counts(100, 40, total_token_count=240),
        {"output_tokens": 140, "reasoning_output_tokens": 100, "usage_estimated": 1},
    ),
    "details by kind of content": (
        GEMINI
        | counts(300, 50, details__cached_content_tokens=128, details__audio_prompt_tokens=90)
        | counts(300, 50, details__image_candidates_tokens=40),
        {"cache_read_input_tokens": 128, "audio_input_tokens": 90, "image_output_tokens": 40},
    ),
}

CLASSES: dict[str, Example] = {
    **{
        f"the tier of {key}": (OPENAI | {key: tier}, {"service_tier": "flex"})
        for key, tier in (
            ("input.value", {"serviceTier": "flex"}),
            ("request_data", {"serviceTier": {"type": "flex"}}),
            ("output.value", {"serviceTier": {"type": "flex"}}),
        )
    },
}

COSTS: dict[str, Example] = {
    **{
        f"a cost under {key}": (OPENAI | {key: text}, {"cost_claim_usd": Decimal("0.02"), "anomalies": []})
        for key, text in (
            ("gen_ai.usage.cost_usd", "0.02"),
            ("cost_usd", "$0.02"),
            ("llm.usage.cost_usd", "0.02"),
            ("gen_ai.client.estimated_cost", "0.02USD"),
        )
    },
    "a cost in another currency": (
        OPENAI | {"gen_ai.client.estimated_cost": "0.02EUR"},
        {"cost_claim_usd": None, "anomalies": ["currency:cost"]},
    ),
}

SERVED: dict[str, Example] = {
    "the model served goes before the one asked for, in Traceloop's older words": (
        {"llm.request.type": "chat", "llm.vendor": "OpenAI", "llm.request.model": "fast", "llm.usage.prompt_tokens": 3}
        | {"llm.response.model": "gpt-4o-mini-2024-07-18"},
        {"request_model": "fast", "response_model": "gpt-4o-mini-2024-07-18"},
    ),
    "a framework in place of the provider": (
        OPENAI | {"gen_ai.system": "trpc.go.agent", "trpc.go.agent.session_id": "s"},
        {"provider": "openai", "conversation_id": "s"},
    ),
}

NAMES: dict[str, Example] = {
    f"the series {series} of Azure": (
        OPENAI | {"gen_ai.system": "azure", "gen_ai.request.model": f"azure/{series}/{model}"},
        {"provider": "azure.ai.openai", "request_model": model},
    )
    for series, model in (("o_series", "o3-mini"), ("gpt5_series", "gpt-5-mini"))
}

STRANGERS = by_kind(
    cost=COSTS, served=SERVED, shape=SHAPES, alone=ALONE, google=GOOGLE, **{"class": CLASSES}, name=NAMES
)
