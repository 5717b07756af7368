"""What single makers and clouds say in words of their own: caches, names, bills."""

import json
from typing import Any

from dialect_shared import LLM, OPENAI, Example, by_kind, counts


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

MAKERS = by_kind(cache=CACHES, name=NAMES)
