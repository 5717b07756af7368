"""The part of OpenAI's API that its clients use: chat completions and the list of models.

The conversation is `X-Conversation-ID`, `X-Session-ID` or `metadata.conversation_id` / `session_id`; the user is
`user`, `safety_identifier` or `metadata.user_id`. An agent is a model `agent/<name>`, `X-Agent` or `metadata.agent`.
Clients bring their own history, so none is kept for them.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import Headers

from spanledger.access import Principal
from spanledger.api import openai_shapes, problems, rates
from spanledger.api.inputs import MAX_ID_CHARS, Fallbacks, Model, Text
from spanledger.api.reader import AppServices
from spanledger.api.repeats import Once
from spanledger.api.replies import finished
from spanledger.api.schemas.chat import ChatCompletion, OpenAIModels
from spanledger.api.schemas.common import EVENT_STREAM, Problem
from spanledger.api.streams import KEEP_ALIVE, EventStream, Running, event
from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller, Services
from spanledger.workflows import Completion, Order, Outcome
from spanledger.workflows.offline_answers import CHAT_MODELS

MAX_MESSAGES = 10_000
MAX_TOOLS = 512  # OpenAI takes 128
_AGENT = "agent/"  # what a model's name begins with that is an agent's
# OpenAI's parameters, passed on as they are. The others are not the caller's business: api_base, api_key, timeout …
PASSED_ON = (
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "verbosity",
    "web_search_options",
)
# What OpenAI takes that concerns its own storage and caches: without effect on an answer or on what is measured.
_WITHOUT_EFFECT = frozenset({"store", "prompt_cache_key", "prompt_cache_retention"})
_INTERNAL = frozenset({"provider_specific_fields", "citations"})  # LiteLLM's own, not OpenAI's

router = APIRouter(tags=["openai"])


class CompletionRequest(openai_shapes.Asked, BaseModel):
    """A chat completion. Parameters that neither are named here nor concern OpenAI's own storage are refused."""

    model_config = ConfigDict(extra="allow")

    model: Model | None = None
    messages: Annotated[list[openai_shapes.ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    fallbacks: Fallbacks = []
    stream: bool = False
    stream_options: openai_shapes.StreamOptions | None = None
    user: Text | None = None
    safety_identifier: Text | None = None
    metadata: dict[str, Any] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: openai_shapes.TokenLimit | None = None
    max_completion_tokens: openai_shapes.TokenLimit | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    seed: openai_shapes.Seed | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    response_format: openai_shapes.ResponseFormat | None = None
    tools: Annotated[list[openai_shapes.OfferedTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: openai_shapes.ToolChoice | Text | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[openai_shapes.OfferedFunction], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    function_call: openai_shapes.ToolChoice | Text | None = None
    logit_bias: openai_shapes.Bias | None = None
    prediction: openai_shapes.Prediction | None = None
    reasoning_effort: Text | None = None
    verbosity: Text | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _refuse_unknown(self) -> "CompletionRequest":
        unknown = sorted(set(self.model_extra or ()) - set(PASSED_ON) - _WITHOUT_EFFECT)
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0][:100]!r}: it would be dropped")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs: only with logprobs")
        named = [tool.function.name for tool in self.tools or () if tool.function is not None]
        openai_shapes.refuse_choice(self.tool_choice, self.tools, named)
        openai_shapes.refuse_stream_options(self.stream, self.stream_options)
        return self

    def parameters(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True, by_alias=True)
        return {name: given[name] for name in PASSED_ON if given.get(name) is not None}


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses={200: EVENT_STREAM, 402: {"model": Problem}, 404: {"model": Problem}},
)
async def create_chat_completion(
    request: Request,
    payload: CompletionRequest,
    services: AppServices,
    principal: Caller,
    repeats: Once,
) -> Response:
    """Answers as the model does, in OpenAI's format; with `stream` as server-sent chunks up to `[DONE]`."""
    repeats.refuse_stream(payload.stream)
    openai_shapes.refuse_broken_text(payload)
    user = payload.user or payload.safety_identifier
    order = order_of(request.headers, payload.model, user, payload.metadata, principal).completed(
        fallbacks=tuple(payload.fallbacks), parameters=payload.parameters()
    )
    messages = [message.model_dump(exclude_unset=True) for message in payload.messages]
    completion = Completion(order, messages, stream=payload.stream)
    if not payload.stream:

        async def answer() -> tuple[Any, dict[str, str]]:
            outcome = await services.runner.complete(completion)
            return completion_body(outcome), rates.headers(services, outcome.order)

        return await repeats.answer(answer)
    running = Running(lambda emit: services.runner.complete(completion, emit))
    await running.begin(request)
    wants_usage = payload.stream_options is not None and payload.stream_options.include_usage
    return EventStream(running, _events(running, wants_usage), rates.headers(services, order))


@router.get("/v1/models")
async def list_openai_models(services: AppServices, principal: Caller) -> OpenAIModels:
    """The models that work here without further setup, with the tenant's own names and its agents; any other
    LiteLLM name can be requested too."""
    return OpenAIModels.model_validate({"object": "list", "data": model_list(services, principal)})


def model_list(services: Services, principal: Principal) -> list[dict[str, Any]]:
    """The models of `GET /v1/models`, the default one first."""
    own: list[str] = []
    if services.books is not None:
        own += services.platform.models.enabled(principal.tenant)
        own += (f"{_AGENT}{agent.name}" for agent in services.platform.agents.all(principal.tenant))
    names = dict.fromkeys((services.settings.default_model, *own, *(f"offline/{name}" for name in CHAT_MODELS)))
    created = 1_767_225_600  # 2026-01-01, for clients that insist on a number
    return [{"id": name, "object": "model", "created": created, "owned_by": name.partition("/")[0]} for name in names]


def order_of(
    headers: Headers, model: str | None, user: str | None, metadata: dict[str, Any] | None, principal: Principal
) -> Order:
    """Conversation, user, agent and model that a request of OpenAI's API names."""
    more, model = metadata or {}, model or ""
    agent = _first(model.removeprefix(_AGENT)) if model.startswith(_AGENT) else ""
    return Order(
        principal=principal,
        conversation_id=_first(
            headers.get("x-conversation-id"),
            headers.get("x-session-id"),
            more.get("conversation_id"),
            more.get("session_id"),
        ),
        user_id=_first(user, more.get("user_id")),
        agent=agent or _first(headers.get("x-agent"), more.get("agent")),
        model="" if agent else model,
    )


def _first(*candidates: Any) -> str:
    """The first that is given. Raises BadRequest if it is not a usable id."""
    for given in candidates:
        if given is None or given == "":
            continue
        text = str(given)
        if len(text) > MAX_ID_CHARS:
            raise BadRequest(f"an id may have {MAX_ID_CHARS} characters; {text[:40]!r}… has {len(text)}")
        return text
    return ""


def completion_body(outcome: Outcome) -> dict[str, Any]:
    """The provider's answer; usage is ours where the provider sent none."""
    body: dict[str, Any] = _clean(outcome.reply.response)
    return body | {"usage": usage_body(outcome)}


async def _events(running: Running, wants_usage: bool) -> AsyncIterator[str]:
    chunk: dict[str, Any] = {}
    async for piece in running.pieces():
        if piece is None:
            yield KEEP_ALIVE
            continue
        if "usage" in piece.value:  # LiteLLM always sends one, and makes it up if it must: ours comes below
            continue
        chunk = piece.value
        yield event(_clean(chunk) | ({"usage": None} if wants_usage else {}))
    outcome = finished(running)
    if not isinstance(outcome, Outcome):
        yield event({"error": problems.openai_error(outcome)})
        return
    if wants_usage:
        last = {key: chunk[key] for key in ("id", "object", "created", "model") if key in chunk}
        yield event({**last, "choices": [], "usage": usage_body(outcome)})
    yield event("[DONE]")


def usage_body(outcome: Outcome) -> dict[str, Any]:
    """Tokens of the answering call in OpenAI's form, its details too."""
    used = outcome.calls[-1].usage
    assert used is not None
    prompt, completion = used.input_tokens or 0, used.output_tokens or 0
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details = {
        "cached_tokens": used.cache_read_input_tokens,
        "cache_write_tokens": used.cache_write_input_tokens,
        "audio_tokens": used.audio_input_tokens,
        "image_tokens": used.image_input_tokens,
    }
    usage["prompt_tokens_details"] = {name: count for name, count in details.items() if count is not None}
    details = {
        "reasoning_tokens": used.reasoning_output_tokens,
        "audio_tokens": used.audio_output_tokens,
        "image_tokens": used.image_output_tokens,
    }
    usage["completion_tokens_details"] = {name: count for name, count in details.items() if count is not None}
    return usage


def _clean(value: Any) -> Any:
    """Without LiteLLM's own fields."""
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items() if key not in _INTERNAL}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    return value
