"""More of OpenAI's API: the Responses API, legacy completions, one model by name.

Ids, users and agents are read as openai_compat.py does. No state is kept between requests, so options that need state
(`previous_response_id`, `background`, `conversation`) are refused.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field, model_validator

from spanledger.api import openai_shapes, problems, rates
from spanledger.api.inputs import Model, Text
from spanledger.api.openai_compat import MAX_TOOLS, completion_body, model_list, order_of, usage_body
from spanledger.api.reader import AppServices
from spanledger.api.repeats import Once
from spanledger.api.replies import finished
from spanledger.api.schemas.chat import ModelResponse, OpenAIModel, TextCompletion
from spanledger.api.schemas.common import EVENT_STREAM, Problem
from spanledger.api.streams import EventStream, Running, event
from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller
from spanledger.workflows import Completion, Outcome, openai_formats
from spanledger.workflows.model import Chunk, UnknownModel

MAX_ITEMS = 10_000
MAX_PROMPTS = 100
# Fields that have an effect on OpenAI's caches alone.
_KNOWN = frozenset({"prompt_cache_key", "prompt_cache_retention"})
_STATEFUL = ("previous_response_id", "conversation", "background", "prompt")
router = APIRouter(tags=["openai"])
ModelName = Annotated[
    str, Path(min_length=1, max_length=256, description="A model of `GET /v1/models`.", examples=["offline/small"])
]


class ResponsesRequest(openai_shapes.Asked):
    """A request of the Responses API. Fields that are not named here are refused."""

    model_config = ConfigDict(extra="allow")

    model: Model | None = None
    input: Text | Annotated[list[openai_shapes.ResponseItem], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]
    instructions: Text | None = None
    stream: bool = False
    max_output_tokens: openai_shapes.TokenLimit | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    user: Text | None = None
    safety_identifier: Text | None = None
    metadata: dict[str, Any] | None = None
    truncation: Literal["disabled"] | None = None
    include: list[openai_shapes.Included] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: openai_shapes.Reasoning | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    store: bool | None = None
    stream_options: openai_shapes.StreamOptions | None = None
    text: openai_shapes.AnswerText | None = None
    tool_choice: openai_shapes.ToolChoice | Text | None = None
    tools: Annotated[list[openai_shapes.ResponseTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None

    @model_validator(mode="after")
    def _refuse_unknown(self) -> "ResponsesRequest":
        unknown = sorted(set(self.model_extra or ()) - _KNOWN - {*_STATEFUL})
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0][:100]!r}: it would be dropped")
        named = [tool.name for tool in self.tools or () if tool.name is not None]
        openai_shapes.refuse_choice(self.tool_choice, self.tools, named)
        openai_shapes.refuse_stream_options(self.stream, self.stream_options)
        return self


class TextRequest(openai_shapes.Asked):
    """A legacy completion. Each prompt becomes a chat of one message."""

    model_config = ConfigDict(extra="forbid")

    model: Model | None = None
    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
    max_tokens: openai_shapes.TokenLimit | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    seed: openai_shapes.Seed | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: openai_shapes.Bias | None = None
    stream: bool = False
    stream_options: openai_shapes.StreamOptions | None = None
    user: Text | None = None
    echo: Literal[False] = False
    best_of: Literal[1] | None = None

    @model_validator(mode="after")
    def _refuse_stream_options(self) -> "TextRequest":
        openai_shapes.refuse_stream_options(self.stream, self.stream_options)
        return self

    def parameters(self) -> dict[str, Any]:
        names = ("max_tokens", "temperature", "top_p", "n", "stop", "seed", "frequency_penalty", "presence_penalty")
        return {name: value for name in (*names, "logit_bias") if (value := getattr(self, name)) is not None}


@router.post(
    "/v1/responses",
    response_model=ModelResponse,
    responses={200: EVENT_STREAM, 402: {"model": Problem}, 404: {"model": Problem}},
)
async def create_response(
    request: Request, payload: ResponsesRequest, services: AppServices, principal: Caller, repeats: Once
) -> Response:
    """Answers in the format of OpenAI's Responses API; with `stream` as its server-sent events."""
    repeats.refuse_stream(payload.stream)
    openai_shapes.refuse_broken_text(payload)
    body = payload.model_dump(exclude_unset=True, by_alias=True)
    if kept := [name for name in _STATEFUL if body.get(name) not in (None, False)]:
        raise BadRequest(f"{kept[0]} needs answers that are kept between requests; send the whole input instead")
    messages, parameters = await asyncio.to_thread(openai_formats.chat_request, body)  # may import LiteLLM
    order = order_of(
        request.headers, payload.model, payload.user or payload.safety_identifier, payload.metadata, principal
    )
    completion = Completion(order.completed(parameters=parameters), messages, stream=payload.stream)
    if not payload.stream:

        async def answer() -> tuple[Any, dict[str, str]]:
            outcome = await services.runner.complete(completion)
            result = openai_formats.response_of(body, completion_body(outcome))
            return result, rates.headers(services, outcome.order)

        return await repeats.answer(answer)
    running = Running(lambda emit: services.runner.complete(completion, emit))
    await running.begin(request)
    return EventStream(running, _response_events(body, running), rates.headers(services, order))


async def _response_events(body: dict[str, Any], running: Running) -> AsyncIterator[str]:
    try:
        async for found in openai_formats.response_events(body, _chunks_with_usage(running)):
            yield event(found, str(found.get("type") or ""))
    except _Failed as exc:
        error = problems.openai_error(exc.error)
        yield event({"type": "error", "code": error["code"], "message": error["message"], "param": None}, "error")


class _Failed(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def _chunks_with_usage(running: Running) -> AsyncIterator[Chunk]:
    """The chunks, then one with the usage. Raises _Failed with the error that ended the answer."""
    chunk: Chunk = {}
    async for piece in running.pieces():
        if piece is not None and "usage" not in piece.value:
            chunk = piece.value
            yield chunk
    outcome = finished(running)
    if not isinstance(outcome, Outcome):
        raise _Failed(outcome)
    head: Chunk = {key: chunk[key] for key in ("id", "object", "created", "model") if key in chunk}
    yield {**head, "choices": [], "usage": usage_body(outcome)}


@router.post(
    "/v1/completions",
    response_model=TextCompletion,
    responses={200: EVENT_STREAM, 402: {"model": Problem}, 404: {"model": Problem}},
)
async def create_text_completion(
    request: Request, payload: TextRequest, services: AppServices, principal: Caller, repeats: Once
) -> Response:
    """A legacy completion, of chat models too; with `stream` as server-sent chunks up to `[DONE]`."""
    repeats.refuse_stream(payload.stream)
    prompts = openai_formats.text_prompts(payload.prompt)
    order = order_of(request.headers, payload.model, payload.user, None, principal).completed(
        parameters=payload.parameters()
    )
    if payload.stream:
        if len(prompts) > 1:
            raise BadRequest("one prompt can be streamed at a time")
        completion = Completion(order, prompts, stream=True)
        wants_usage = payload.stream_options is not None and payload.stream_options.include_usage
        running = Running(lambda emit: services.runner.complete(completion, emit))
        await running.begin(request)
        return EventStream(running, _text_events(running, wants_usage), rates.headers(services, order))

    async def answer() -> tuple[Any, dict[str, str]]:
        outcomes = [await services.runner.complete(Completion(order, [prompt])) for prompt in prompts]
        choices: list[dict[str, Any]] = []
        for outcome in outcomes:
            choices += openai_formats.text_choices(completion_body(outcome), len(choices))
        head = _text_head(completion_body(outcomes[0]))
        result = {**head, "choices": choices, "usage": _total(outcomes)}
        return result, rates.headers(services, outcomes[-1].order)

    return await repeats.answer(answer)


async def _text_events(running: Running, wants_usage: bool) -> AsyncIterator[str]:
    head: dict[str, Any] = {}
    async for piece in running.pieces():
        if piece is None or "usage" in piece.value:
            continue
        head = _text_head(piece.value)
        yield event({**head, "choices": openai_formats.text_choices(piece.value, 0)})
    outcome = finished(running)
    if not isinstance(outcome, Outcome):
        yield event({"error": problems.openai_error(outcome)})
        return
    if wants_usage:
        yield event({**head, "choices": [], "usage": usage_body(outcome)})
    yield event("[DONE]")


def _text_head(completion: dict[str, Any]) -> dict[str, Any]:
    return {key: completion.get(key) for key in ("id", "created", "model")} | {"object": "text_completion"}


def _total(outcomes: list[Outcome]) -> dict[str, int]:
    used = [usage_body(outcome) for outcome in outcomes]
    return {name: sum(one[name] for one in used) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


@router.get("/v1/models/{model:path}")
async def get_openai_model(model: ModelName, services: AppServices, principal: Caller) -> OpenAIModel:
    """One model of the list, as clients look up a configured name."""
    for found in model_list(services, principal):
        if found["id"] == model:
            return OpenAIModel.model_validate(found)
    raise UnknownModel(f"there is no model {model[:100]!r}; GET /v1/models lists them")
