"""Conversations with history: `POST /v1/conversations/{conversation_id}/messages`."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, field_validator

from spanledger.api import problems, rates
from spanledger.api.inputs import Fallbacks, Id, Memory, Model, Parameters, Text, given
from spanledger.api.parameters import ConversationId
from spanledger.api.reader import AppServices
from spanledger.api.repeats import Once
from spanledger.api.replies import finished, usage_of_calls
from spanledger.api.schemas.chat import Reply
from spanledger.api.schemas.common import EVENT_STREAM, Problem
from spanledger.api.streams import KEEP_ALIVE, EventStream, Running, event
from spanledger.errors import TooLarge
from spanledger.runtime.services import Caller
from spanledger.workflows import Order, Outcome, Turn
from spanledger.workflows.run import Hit

MAX_CONTENT_BYTES = 512 * 1024  # of one message, in UTF-8

router = APIRouter(tags=["chat"])


class NewMessage(BaseModel):
    """A user's message. Without `model` the service's default answers; `fallbacks` are tried in order if it fails.
    `agent`, `profile` and `prompt` name what the registry holds; `variables` fill the prompt's template."""

    model_config = ConfigDict(extra="forbid")

    content: Text
    user_id: Id | None = None
    workflow: Text | None = None
    model: Model | None = None
    fallbacks: Fallbacks = []
    stream: bool = False
    agent: Id | None = None
    profile: Id | None = None
    prompt: Id | None = None
    variables: dict[str, Text] = {}
    parameters: Parameters | None = None
    memory: Memory | None = None
    cache: bool | None = None

    @field_validator("content")
    @classmethod
    def _says_something(cls, content: str) -> str:
        if not content.strip():
            raise ValueError("must not be empty")
        return content


@router.post(
    "/v1/conversations/{conversation_id}/messages",
    response_model=Reply,
    responses={200: EVENT_STREAM, 402: {"model": Problem}},
)
async def send_message(
    request: Request,
    conversation_id: ConversationId,
    message: NewMessage,
    services: AppServices,
    principal: Caller,
    repeats: Once,
) -> Response:
    """Runs the workflow; returns its answer, usage and cost. With `stream`: server-sent events, `delta` for
    each piece of text, then one `message` with the same object, or one `error` with a problem."""
    repeats.refuse_stream(message.stream)
    size = len(message.content.encode())
    if size > MAX_CONTENT_BYTES:
        raise TooLarge(f"content has {size:,} bytes, and a message may have {MAX_CONTENT_BYTES:,}")
    order = Order(
        principal=principal,
        conversation_id=conversation_id,
        user_id=message.user_id or "",
        workflow=message.workflow or "",
        model=message.model or "",
        fallbacks=tuple(message.fallbacks),
        agent=message.agent or "",
        profile=message.profile or "",
        prompt=message.prompt or "",
        variables=message.variables,
        parameters=given(message.parameters),
        memory=given(message.memory),
        cache=message.cache,
    )
    turn = Turn(order, message.content, stream=message.stream)
    if not message.stream:

        async def answer() -> tuple[Any, dict[str, str]]:
            outcome = await services.runner.answer(turn)
            return reply(outcome), rates.headers(services, outcome.order)

        return await repeats.answer(answer)
    running = Running(lambda emit: services.runner.answer(turn, emit))
    await running.begin(request)
    return EventStream(running, _events(running), rates.headers(services, order))


def reply(outcome: Outcome) -> dict[str, Any]:
    """The answer to a message."""
    reasons = outcome.reply.finish_reasons
    return {
        "message_id": outcome.message_id,
        "conversation_id": outcome.conversation_id,
        "user_id": outcome.user_id or None,
        "trace_id": outcome.trace_id or None,
        "correlation_id": outcome.correlation_id,
        "workflow": outcome.workflow,
        "content": outcome.reply.message.get("content") or "",
        "provider": outcome.provider,
        "model": outcome.model,
        "finish_reason": reasons[0] if reasons else None,
        "duration_ms": outcome.duration_ms,
        "cache_hit": any(call.cached for call in outcome.calls),
        "usage": asdict(usage_of_calls(outcome.calls)),
        "sources": None if outcome.sources is None else [_source(hit) for hit in outcome.sources],
    }


def _source(hit: Hit) -> dict[str, Any]:
    """A passage that the model was given, without its text."""
    return {"document_id": hit.document_id, "chunk": hit.chunk, "name": hit.name, "score": hit.score}


async def _events(running: Running) -> AsyncIterator[str]:
    async for piece in running.pieces():
        if piece is None:
            yield KEEP_ALIVE
        elif text := _text(piece.value):
            yield event({"content": text}, "delta")
    outcome = finished(running)
    if isinstance(outcome, Outcome):
        yield event(reply(outcome), "message")
    else:
        yield event(bytes(problems.of_error(outcome).body).decode(), "error")


def _text(chunk: dict[str, Any]) -> str:
    """The visible text of a chunk."""
    choices = chunk.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""
