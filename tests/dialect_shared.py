"""What the files of dialect examples share: shapes of examples, models and counts."""

from collections.abc import Mapping
from typing import Any

Example = tuple[dict[str, Any], dict[str, Any]]
OPENAI = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
GEMINI = {"gen_ai.operation.name": "chat", "gen_ai.system": "gemini", "gen_ai.request.model": "gemini-2.5-flash"}
NAMED = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"}

LANGFUSE = {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "gemini-2.5-flash"}


def counts(input_tokens: int, output_tokens: int, **more: int) -> dict[str, str]:
    said = {"input_tokens": input_tokens, "output_tokens": output_tokens} | more
    return {f"gen_ai.usage.{name.replace('__', '.')}": str(count) for name, count in said.items()}


def langfuse(model: str, **usage: int) -> dict[str, Any]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": usage,
    }


def by_kind(**groups: Mapping[str, Example]) -> dict[str, Example]:
    """All examples, each under its kind and name."""
    return {
        f"{kind.replace('_', ' ')}: {name}": example
        for kind, examples in groups.items()
        for name, example in examples.items()
    }
