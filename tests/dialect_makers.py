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
}

MAKERS = by_kind(cache=CACHES)
