"""What single makers and clouds say in words of their own: caches, names, bills."""

import json
from decimal import Decimal
from typing import Any

from dialect_shared import LLM, OPENAI, Example, by_kind, counts, langfuse


def ai_sdk(provider: str, model: str, metadata: dict[str, Any], **usage: int) -> dict[str, Any]:
    """A call of the AI SDK."""
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": model,
        "ai.model.provider": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": model,
        **{f"ai.usage.{name}": count for name, count in usage.items()},
        "ai.response.providerMetadata": json.dumps(metadata),
    }


_LANGSMITH_DETAILS = {"cache_read": 100, "ephemeral_5m_input_tokens": 100, "ephemeral_1hr_input_tokens": 500}
CACHES: dict[str, Example] = {
    "AI SDK 4, Anthropic": (
        ai_sdk(
            "anthropic.messages",
            "claude-3-7-sonnet-20250219",
            {"anthropic": {"cacheCreationInputTokens": 500, "cacheReadInputTokens": 1000}},
            promptTokens=100,
            completionTokens=50,
        ),
        {"input_tokens": 1600, "cache_read_input_tokens": 1000, "cache_write_input_tokens": 500},
    ),
    "AI SDK 4, DeepSeek": (
        ai_sdk(
            "deepseek.chat",
            "deepseek-chat",
            {"deepseek": {"promptCacheHitTokens": 800, "promptCacheMissTokens": 200}},
            promptTokens=1000,
            completionTokens=50,
        ),
        {"input_tokens": 1000, "cache_read_input_tokens": 800},
    ),
    **{
        f"AI SDK 5, Claude by {provider}": (
            ai_sdk(
                provider,
                "claude-sonnet-4-5",
                {"anthropic": {"usage": {"input_tokens": 5000, "cache_read_input_tokens": 3000}}},
                inputTokens=5000,
                outputTokens=100,
                totalTokens=5100,
                cachedInputTokens=3000,
            ),
            {"provider": cloud, "input_tokens": 8000, "cache_read_input_tokens": 3000},
        )
        for provider, cloud in (
            ("vertex.anthropic.messages", "gcp.vertex_ai"),
            ("googleVertex.anthropic.messages", "gcp.vertex_ai"),
            ("azure.anthropic.messages", "azure.ai.inference"),
        )
    },
    "AI SDK 6, Claude by Vertex": (
        ai_sdk("googleVertex.anthropic.messages", "claude-sonnet-4-5", {}, inputTokens=8000, outputTokens=100)
        | {"ai.usage.inputTokenDetails.cacheReadTokens": 3000, "ai.usage.inputTokenDetails.noCacheTokens": 5000},
        {"input_tokens": 8000, "cache_read_input_tokens": 3000},
    ),
    "AI SDK 5, Gemini by Vertex": (
        ai_sdk("google.vertex.chat", "gemini-2.5-flash", {}, inputTokens=5000, cachedInputTokens=3000, outputTokens=9),
        {"provider": "gcp.vertex_ai", "input_tokens": 5000, "cache_read_input_tokens": 3000},
    ),
    **{
        f"LangSmith's word for writes of an hour, {where}": (
            attributes,
            {"input_tokens": 1200, "cache_write_input_tokens": 600, "cache_write_1h_input_tokens": 500},
        )
        for where, attributes in (
            (
                "details apart",
                OPENAI
                | {"gen_ai.system": "anthropic", "gen_ai.usage.input_token_details": json.dumps(_LANGSMITH_DETAILS)}
                | counts(1200, 57, total_tokens=1257),
            ),
            (
                "details within the usage",
                {
                    "langfuse.observation.type": "generation",
                    "langfuse.observation.model.name": "claude-sonnet-4-5",
                    "langfuse.observation.usage_details": json.dumps(
                        {
                            "input_tokens": 1200,
                            "output_tokens": 57,
                            "total_tokens": 1257,
                            "input_token_details": _LANGSMITH_DETAILS,
                        }
                    ),
                },
            ),
        )
    },
}

_DIFY = {"gen_ai.span.kind": "LLM", "gen_ai.framework": "dify", "gen_ai.request.model": "m"} | counts(1000, 100)
NAMES: dict[str, Example] = {
    **{
        f"Dify's plugin {plugin}": (_DIFY | {"gen_ai.provider.name": plugin}, {"provider": provider})
        for plugin, provider in (
            ("langgenius/openai/openai", "openai"),
            ("langgenius/anthropic/anthropic", "anthropic"),
            ("langgenius/gemini/google", "gcp.gemini"),
            ("langgenius/azure_openai/azure_openai", "azure.ai.openai"),
            ("someone/their_models/deepseek", "deepseek"),
            ("someone/their_models/their_models", "someone/their_models/their_models"),
        )
    },
    "Dify's name of Gemini": (_DIFY | {"gen_ai.provider.name": "google_gemini"}, {"provider": "gcp.gemini"}),
    **{
        f"the host {host}": (OPENAI | {"server.address": host}, {"provider": provider})
        for host, provider in (
            ("eastus.api.cognitive.microsoft.com", "azure.ai.openai"),
            ("api.individual.githubcopilot.com", "github_copilot"),
            ("api.business.githubcopilot.com", "github_copilot"),
            ("vpce-0a1b-2c3d.bedrock-runtime.us-east-1.vpce.amazonaws.com", "aws.bedrock"),
        )
    },
}


def answer(provider: str, model: str, **usage: Any) -> dict[str, Any]:
    """A call with the usage of its answer."""
    body = {"id": "gen-1", "object": "chat.completion", "model": model}
    body["usage"] = {"prompt_tokens": 100, "completion_tokens": 400, "total_tokens": 500} | usage
    return LLM | {"llm.provider": provider, "llm.model_name": model, "output.value": json.dumps(body)}


_PERPLEXITY_COST = {
    "input_tokens_cost": 0.0003,
    "output_tokens_cost": 0.006,
    "request_cost": 0.006,
    "total_cost": 0.0123,
}
_XAI_SDK = OPENAI | {
    "gen_ai.provider.name": "xai",
    "gen_ai.request.model": "grok-4",
    "gen_ai.response.model": "grok-4-0709",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.total_tokens": 1250,
    "gen_ai.usage.reasoning_tokens": 200,
    "gen_ai.usage.cached_prompt_text_tokens": 400,
    "gen_ai.usage.prompt_text_tokens": 700,
    "gen_ai.usage.prompt_image_tokens": 300,
}
BILLS: dict[str, Example] = {
    "xAI's ticks": (
        answer("xai", "grok-4", cost_in_usd_ticks=37756000),
        {"cost_claim_usd": Decimal("0.0037756"), "cost_claim_source": "provider"},
    ),
    "xAI's ticks, told by its own client": (
        _XAI_SDK | {"gen_ai.usage.cost_in_usd_ticks": 37756000},
        {"cost_claim_usd": Decimal("0.0037756"), "cost_claim_source": "provider"},
    ),
    "ticks of xAI's client that are no number": (
        _XAI_SDK | {"gen_ai.usage.cost_in_usd_ticks": "many"},
        {"cost_claim_usd": None, "anomalies": ["inferred:output_excludes_reasoning", "text:cost"]},
    ),
    "the tokens of xAI's client": (
        _XAI_SDK,
        {"input_tokens": 1000, "cache_read_input_tokens": 400, "image_input_tokens": 300, "output_tokens": 250}
        | {"reasoning_output_tokens": 200, "anomalies": ["inferred:output_excludes_reasoning"]},
    ),
    "xAI's ticks in the AI SDK": (
        ai_sdk("xai.responses", "grok-4", {"xai": {"costInUsdTicks": 37756000}}, inputTokens=10, outputTokens=5),
        {"cost_claim_usd": Decimal("0.0037756"), "cost_claim_source": "provider"},
    ),
    "ticks that are no number": (
        answer("xai", "grok-4", cost_in_usd_ticks="many"),
        {"cost_claim_usd": None, "anomalies": ["text:cost"]},
    ),
    "Perplexity's parts and their total": (
        answer("perplexity", "sonar-pro", cost=_PERPLEXITY_COST),
        {"cost_claim_usd": Decimal("0.0123"), "cost_claim_source": "provider"},
    ),
    "what a library worked out for Perplexity": (
        langfuse("sonar-pro", input=100, output=400)
        | {"gen_ai.system": "perplexity", "langfuse.observation.cost_details": {"total": 0.0063}},
        {"cost_claim_usd": Decimal("0.0063"), "cost_claim_source": "local"},
    ),
    "OpenRouter with the customer's own key": (
        answer(
            "openrouter", "openai/gpt-4o", cost=0.000315, is_byok=True, cost_details={"upstream_inference_cost": 0.0063}
        ),
        {"cost_claim_usd": Decimal("0.006615"), "cost_claim_source": "provider"},
    ),
    "OpenRouter names what it paid itself": (
        answer(
            "openrouter", "openai/gpt-4o", cost=0.0063, is_byok=False, cost_details={"upstream_inference_cost": 0.0063}
        ),
        {"cost_claim_usd": Decimal("0.0063"), "cost_claim_source": "provider"},
    ),
}

_COMPACTION = {"type": "compaction", "input_tokens": 180, "output_tokens": 35, "cache_read_input_tokens": 20}
_MESSAGE = {"type": "message", "input_tokens": 23, "output_tokens": 10}
_WITH_COMPACTION = {"input_tokens": 223, "output_tokens": 45, "cache_read_input_tokens": 20}


def claude(**usage: Any) -> dict[str, Any]:
    """Claude's answer alone."""
    body = {"id": "msg_1", "type": "message", "model": "claude-opus-4-6", "stop_reason": "end_turn"}
    body["usage"] = {"input_tokens": 23, "output_tokens": 10, "cache_read_input_tokens": 0} | usage
    return LLM | {"llm.provider": "anthropic", "llm.model_name": "claude-opus-4-6", "output.value": json.dumps(body)}


_COUNTED = OPENAI | {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
COMPACTIONS: dict[str, Example] = {
    "beside the answer's own usage": (claude(iterations=[_COMPACTION, _MESSAGE]), _WITH_COMPACTION),
    "beside the sender's counts": (
        claude(iterations=[_COMPACTION, _MESSAGE]) | {"llm.token_count.prompt": 23, "llm.token_count.completion": 10},
        _WITH_COMPACTION,
    ),
    "already in the sender's counts": (
        claude(iterations=[_COMPACTION, _MESSAGE])
        | {"llm.token_count.prompt": 223, "llm.token_count.completion": 45}
        | {"llm.token_count.prompt_details.cache_read": 20},
        _WITH_COMPACTION,
    ),
    "several": (
        claude(iterations=[_COMPACTION, _COMPACTION, _MESSAGE]),
        {"input_tokens": 423, "output_tokens": 80, "cache_read_input_tokens": 40},
    ),
    "told by Anthropic's client, beside a longer answer": (
        OPENAI
        | {"gen_ai.provider.name": "anthropic", "@scope": "com.anthropic.sdk.python"}
        | {"gen_ai.usage.input_tokens": 23, "gen_ai.usage.output_tokens": 400}
        | {"anthropic.usage.compaction.input_tokens": 200, "anthropic.usage.compaction.output_tokens": 35},
        {"input_tokens": 223, "output_tokens": 435},
    ),
    "without an answer": (
        claude(iterations=[_COMPACTION], input_tokens=0, output_tokens=0),
        {"input_tokens": 200, "output_tokens": 35, "cache_read_input_tokens": 20},
    ),
    "none, in several steps": (
        claude(iterations=[_MESSAGE, _MESSAGE], input_tokens=46, output_tokens=20),
        {"input_tokens": 46, "output_tokens": 20},
    ),
    "an adviser's tokens, which have a price of their own": (
        claude(iterations=[_MESSAGE, {"type": "advisor_message", "input_tokens": 900, "output_tokens": 90}]),
        {"input_tokens": 23, "output_tokens": 10},
    ),
}

CLIENTS: dict[str, Example] = {
    "NeMo's own cache": (OPENAI | {"llm.cache.hit": True}, {"response_cache": "hit"}),
    "a call that NeMo's cache did not know": (OPENAI | {"llm.cache.hit": False}, {"response_cache": "miss"}),
    "AgentScope's input leaves out Anthropic's cache": (
        _COUNTED
        | {"gen_ai.provider.name": "anthropic", "@scope": "agentscope"}
        | {"agentscope.usage.cache_input_tokens": 400, "agentscope.usage.cache_creation_input_tokens": 100},
        {"input_tokens": 1500, "cache_read_input_tokens": 400, "cache_write_input_tokens": 100},
    ),
    "Mirascope's usage": (
        _COUNTED
        | {"mirascope.response.usage": json.dumps({"input_tokens": 1000, "cache_read_tokens": 400})}
        | {"mirascope.ops.session.id": "c1"},
        {"input_tokens": 1000, "cache_read_input_tokens": 400, "conversation_id": "c1"},
    ),
    "traceAI's parts": (
        _COUNTED | {"gen_ai.usage.input_tokens.cache_read": 400, "gen_ai.usage.input_tokens.audio": 300},
        {"input_tokens": 1000, "cache_read_input_tokens": 400, "audio_input_tokens": 300},
    ),
    "TraceRoot's names": (
        _COUNTED | {"traceroot.trace.session_id": "c1", "traceroot.trace.user_id": "u1"},
        {"conversation_id": "c1", "user_id": "u1"},
    ),
    "Netra's names": (
        _COUNTED | {"netra.session_id": "c1", "netra.user_id": "u1"},
        {"conversation_id": "c1", "user_id": "u1"},
    ),
    "Monocle": (
        {
            "span.type": "inference",
            "entity.1.type": "inference.openai",
            "entity.1.provider_name": "api.openai.com",
            "entity.2.name": "gpt-4o-mini",
            "entity.2.type": "model.llm.gpt-4o-mini",
            "scope.agentic.session": "c1",
        },
        {"role": "inference", "provider": "openai", "request_model": "gpt-4o-mini", "conversation_id": "c1"},
    ),
    "AG2's record of a call": (_COUNTED | {"ag2.usage.kind": "model_call"}, {"told_calls": 0}),
    "AG2's record of what has no other span": (_COUNTED | {"ag2.usage.kind": "compaction"}, {"told_calls": None}),
}

SPEEDS: dict[str, Example] = {
    "fast": (claude(service_tier="standard", speed="fast"), {"service_tier": "fast"}),
    "ordinary": (claude(service_tier="priority", speed="standard"), {"service_tier": "priority"}),
    "asked for": (claude() | {"llm.invocation_parameters": '{"speed": "fast"}'}, {"service_tier": "fast"}),
    "asked for and not served": (
        claude(speed="standard") | {"llm.invocation_parameters": '{"speed": "fast"}'},
        {"service_tier": ""},
    ),
    "in the AI SDK": (
        ai_sdk("anthropic.messages", "claude-opus-5", {"anthropic": {"usage": {"speed": "fast"}}}, inputTokens=9),
        {"service_tier": "fast"},
    ),
    "of Claude Code": (
        OPENAI | {"gen_ai.system": "anthropic", "@scope": "com.anthropic.claude_code.events", "speed": "fast"},
        {"service_tier": "fast"},
    ),
    "of anything else": ({"speed": "fast"}, {"dialect": "", "role": ""}),
}

_REALTIME = {
    "input_tokens": 1000,
    "output_tokens": 300,
    "total_tokens": 1300,
    "input_token_details": {
        "audio_tokens": 800,
        "text_tokens": 100,
        "image_tokens": 100,
        "cached_tokens": 600,
        "cached_tokens_details": {"audio_tokens": 500, "text_tokens": 40, "image_tokens": 60},
    },
}
_GEMINI_AUDIO = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 100,
    "totalTokenCount": 1100,
    "cachedContentTokenCount": 600,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 500}],
}
_FRESH_AUDIO = {"input_tokens": 1000, "cache_read_input_tokens": 600, "audio_input_tokens": 300}
CACHED_MEDIA: dict[str, Example] = {
    "OpenAI's realtime": (OPENAI | {"lk.realtime_model_metrics": _REALTIME}, _FRESH_AUDIO | {"image_input_tokens": 40}),
    "Gemini": (
        LLM | {"llm.provider": "google", "output.value": {"candidates": [], "usageMetadata": _GEMINI_AUDIO}},
        _FRESH_AUDIO,
    ),
    "by the semantic conventions": (
        OPENAI
        | counts(1000, 100, cache_read__input_tokens=600, audio__input_tokens=800)
        | {"gen_ai.usage.audio.cache_read.input_tokens": 500},
        _FRESH_AUDIO,
    ),
    "Pydantic AI": (
        OPENAI
        | {"@scope": "pydantic-ai"}
        | counts(1000, 100, cache_read__input_tokens=600, details__input_audio_tokens=800)
        | {"gen_ai.usage.details.cache_audio_read_tokens": 500},
        _FRESH_AUDIO,
    ),
    "more cached audio than audio": (
        OPENAI
        | counts(1000, 100, cache_read__input_tokens=600, audio__input_tokens=300)
        | {"gen_ai.usage.audio.cache_read.input_tokens": 500},
        _FRESH_AUDIO,
    ),
}

_AFTER = OPENAI | {"gen_ai.conversation.id": "resp_0123456789abcdef"}
_ASKED = LLM | {"llm.provider": "openai"}
WHO: dict[str, Example] = {
    "an answer before, beside a session": (_AFTER | {"session.id": "s1"}, {"conversation_id": "s1"}),
    "an answer before, beside a session of the resource": (
        _AFTER | {"resource:session.id": "s1"},
        {"conversation_id": "s1"},
    ),
    "an answer before, beside metadata": (_AFTER | {"metadata": {"session_id": "s1"}}, {"conversation_id": "s1"}),
    "an answer before, beside a bare id": (_AFTER | {"sessionId": "s1"}, {"conversation_id": "s1"}),
    "an answer before, in both": (_AFTER | {"session.id": "resp_1"}, {"conversation_id": ""}),
    "a conversation beside a session": (
        _AFTER | {"gen_ai.conversation.id": "conv_1", "session.id": "s1"},
        {"conversation_id": "conv_1"},
    ),
    **{
        f"parameters with {', '.join(parameters)}": (
            _ASKED | {"llm.invocation_parameters": {"model": "gpt-4o-mini"} | parameters},
            expected,
        )
        for parameters, expected in (
            ({"metadata": {"user_id": "u1"}}, {"user_id": "u1"}),
            ({"safety_identifier": "u1"}, {"user_id": "u1"}),
            ({"user": "u1", "safety_identifier": "hash"}, {"user_id": "u1"}),
            ({"conversation": "conv_1"}, {"conversation_id": "conv_1"}),
            ({"conversation": {"id": "conv_1"}}, {"conversation_id": "conv_1"}),
        )
    },
}

MAKERS = by_kind(
    bill=BILLS,
    cache=CACHES,
    cached=CACHED_MEDIA,
    client=CLIENTS,
    compaction=COMPACTIONS,
    name=NAMES,
    speed=SPEEDS,
    who=WHO,
)
