"""How instrumentations write one and the same fact: four dialects, eight instrumentation scopes.

A sighting is what one instrumentation saw of a call. Only forests use this; the oracle reads attributes on its own.
"""

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

from oracle.spans import Value

Attributes = dict[str, Value]


class Voice(NamedTuple):
    """An instrumentation: its scope name and the dialect it speaks."""

    scope: str
    dialect: Literal["genai", "genai-deprecated", "openinference", "traceloop"]


VOICES = (
    Voice("opentelemetry.instrumentation.genai.openai", "genai"),
    Voice("openinference.instrumentation.langchain", "openinference"),
    Voice("opentelemetry.instrumentation.openai.v1", "traceloop"),
    Voice("opentelemetry.instrumentation.openai_v2", "genai-deprecated"),
    Voice("openinference.instrumentation.openai", "openinference"),
    Voice("opentelemetry.instrumentation.genai.langchain", "genai"),
    Voice("opentelemetry.instrumentation.langchain", "traceloop"),
    Voice("acme.llm.client", "genai-deprecated"),
)


@dataclass(frozen=True)
class Sighting:
    """What one span says of a call; None or '' is not said."""

    kind: Literal["chat", "embeddings"]
    provider: str
    request_model: str
    response_model: str = ""
    response_id: str = ""
    input_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output_tokens: int | None = None
    reasoning: int | None = None
    estimated: bool = False
    billed_usd: str = ""
    claimed_usd: str = ""


def call(voice: Voice, seen: Sighting) -> Attributes:
    """The attributes of a call's span."""
    match voice.dialect:
        case "genai":
            said = _genai(seen)
        case "genai-deprecated":
            said = _deprecated(seen)
        case "openinference":
            said = _openinference(seen)
        case "traceloop":
            said = _traceloop(seen)
    if seen.estimated:
        said["spanledger.usage.estimated"] = True
    return {key: value for key, value in said.items() if value is not None and value != ""}


def _genai(seen: Sighting) -> dict[str, Value | None]:
    said: dict[str, Value | None] = {
        "gen_ai.operation.name": seen.kind,
        "gen_ai.provider.name": seen.provider,
        "gen_ai.request.model": seen.request_model,
        "gen_ai.response.model": seen.response_model,
        "gen_ai.response.id": seen.response_id,
        "gen_ai.usage.input_tokens": seen.input_tokens,
        "gen_ai.usage.output_tokens": seen.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": seen.cache_read,
        "gen_ai.usage.cache_write.input_tokens": seen.cache_write,
        "gen_ai.usage.reasoning.output_tokens": seen.reasoning,
    }
    if amount := seen.billed_usd or seen.claimed_usd:
        said["gen_ai.usage.cost.amount"] = amount
        said["gen_ai.usage.cost.currency"] = "USD"
        said["gen_ai.usage.cost.source"] = "provider" if seen.billed_usd else "local"
    return said


def _deprecated(seen: Sighting) -> dict[str, Value | None]:
    return {
        "gen_ai.operation.name": seen.kind,
        "gen_ai.system": seen.provider,
        "gen_ai.request.model": seen.request_model,
        "gen_ai.response.model": seen.response_model,
        "gen_ai.response.id": seen.response_id,
        "gen_ai.usage.prompt_tokens": seen.input_tokens,
        "gen_ai.usage.completion_tokens": seen.output_tokens,
        "gen_ai.usage.cache_read_input_tokens": seen.cache_read,
        "gen_ai.usage.cache_creation_input_tokens": seen.cache_write,
        "gen_ai.usage.completion_tokens_details.reasoning_tokens": seen.reasoning,
        "gen_ai.usage.cost": float(seen.claimed_usd) if seen.claimed_usd else None,
    }


def _openinference(seen: Sighting) -> dict[str, Value | None]:
    chat = seen.kind == "chat"
    model = seen.response_model or (seen.request_model if not chat else "")
    return {
        "openinference.span.kind": "LLM" if chat else "EMBEDDING",
        "llm.provider": seen.provider,
        "llm.system": seen.provider,
        ("llm" if chat else "embedding") + ".invocation_parameters": json.dumps({"model": seen.request_model}),
        "llm.model_name" if chat else "embedding.model_name": model,
        "output.value": json.dumps({"id": seen.response_id, "object": "chat.completion"}) if seen.response_id else "",
        "llm.token_count.prompt": seen.input_tokens,
        "llm.token_count.completion": seen.output_tokens,
        "llm.token_count.prompt_details.cache_read": seen.cache_read,
        "llm.token_count.prompt_details.cache_write": seen.cache_write,
        "llm.token_count.completion_details.reasoning": seen.reasoning,
        "llm.cost.total": float(seen.claimed_usd) if seen.claimed_usd else None,
    }


def _traceloop(seen: Sighting) -> dict[str, Value | None]:
    return {
        "llm.request.type": "chat" if seen.kind == "chat" else "embedding",
        "gen_ai.provider.name": seen.provider,
        "gen_ai.request.model": seen.request_model,
        "gen_ai.response.model": seen.response_model,
        "gen_ai.response.id": seen.response_id,
        "gen_ai.usage.input_tokens": seen.input_tokens,
        "gen_ai.usage.output_tokens": seen.output_tokens,
        "gen_ai.usage.cache_read_input_tokens": seen.cache_read,
        "gen_ai.usage.cache_creation_input_tokens": seen.cache_write,
        "gen_ai.usage.reasoning_tokens": seen.reasoning,
    }


def step(voice: Voice, kind: str, name: str) -> Attributes:
    """The attributes of a span that only holds others: workflow, agent, tool, or task."""
    match voice.dialect, kind:
        case "openinference", "tool":
            return {"openinference.span.kind": "TOOL", "tool.name": name}
        case "openinference", "agent":
            return {"openinference.span.kind": "AGENT", "agent.name": name}
        case "openinference", _:
            return {"openinference.span.kind": "CHAIN"}
        case "traceloop", _:
            return {"traceloop.span.kind": kind, "traceloop.entity.name": name}
        case _, "workflow":
            return {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": name}
        case _, "agent":
            return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
        case _, "tool":
            return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    return {}


def whose(voice: Voice | None, conversation: str, user: str, message: str) -> Attributes:
    """How a span says whom it belongs to; '' is not said."""
    match voice and voice.dialect:
        case "genai" | None:
            keys = ("gen_ai.conversation.id", "user.id")
        case "genai-deprecated":
            keys = ("session.id", "enduser.id")
        case "openinference":
            keys = ("session.id", "user.id")
        case "traceloop":
            keys = ("traceloop.association.properties.session_id", "traceloop.association.properties.user_id")
    said: Attributes = {keys[0]: conversation, keys[1]: user, "spanledger.message.id": message}
    return {key: value for key, value in said.items() if value}


def total_of(voice: Voice, input_tokens: int, output_tokens: int) -> Attributes:
    """How an agent or workflow span reports what the calls below it used together."""
    if voice.dialect == "openinference":
        return {"llm.token_count.prompt": input_tokens, "llm.token_count.completion": output_tokens}
    if voice.dialect == "genai-deprecated":
        return {"gen_ai.usage.prompt_tokens": input_tokens, "gen_ai.usage.completion_tokens": output_tokens}
    return {"gen_ai.usage.input_tokens": input_tokens, "gen_ai.usage.output_tokens": output_tokens}
