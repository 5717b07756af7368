"""The live stream: `GET /v1/events`, server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.types import Message, Receive, Scope, Send

from spanledger.api.parameters import OfConversation, OfTrace, OfUser
from spanledger.api.reader import AppServices
from spanledger.api.schemas.common import EVENT_STREAM
from spanledger.errors import BadRequest
from spanledger.live import FOR_ADMINS, TYPES, Filter, Live, Unavailable, parse_cursor
from spanledger.runtime.services import Caller

router = APIRouter(tags=["live"])

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_WRITE_TIMEOUT_S = 30.0  # a client that reads nothing for this time is disconnected


OfType = Annotated[
    list[str],
    Query(
        alias="type",
        default_factory=list,
        max_length=64,
        description=f"Only these types, separated by commas or repeated: {', '.join(TYPES)}.",
        examples=[["model_response,workflow_completed"]],
    ),
]
_EVENT_ID = "The `id` of an event: the stream goes on after it."
LastEventIdHeader = Annotated[str, Header(alias="Last-Event-ID", max_length=1000, description=_EVENT_ID)]
LastEventIdQuery = Annotated[str, Query(max_length=1000, description=_EVENT_ID)]


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Server-sent events", **EVENT_STREAM}},
)
async def stream_events(
    principal: Caller,
    services: AppServices,
    types: OfType,
    conversation_id: OfConversation = "",
    user_id: OfUser = "",
    trace_id: OfTrace = "",
    last_event_id: LastEventIdQuery = "",
    last_event_id_header: LastEventIdHeader = "",
) -> StreamingResponse:
    """Everything that happens from now on, or from `Last-Event-ID` on. `type` may be given several times."""
    live = services.live
    if live is None:
        raise Unavailable("this process has no live stream")
    given = last_event_id_header or last_event_id
    cursor = parse_cursor(given) if given else None
    if given and cursor is None:
        raise BadRequest(f"Last-Event-ID {given[:80]!r} is not an id that this stream gave out; leave it away")
    wanted = Filter(
        principal.tenant,
        _known_types(types),
        conversation_id=conversation_id,
        user_id=user_id,
        trace_id=trace_id,
        admin=principal.role == "admin",
    )
    if not wanted.admin and wanted.types & FOR_ADMINS:
        raise BadRequest(f"{', '.join(sorted(wanted.types & FOR_ADMINS))} events are for admin keys")
    stream = live.stream(wanted, cursor)
    first = await anext(stream)  # what can go wrong goes wrong here, with a status of its own
    return _Stream(first, stream, live)


@router.post("/v1/live/v1/traces", include_in_schema=False)
async def fan_in_spans(request: Request, principal: Caller, services: AppServices) -> Response:
    """OTLP of another process of this service, for the stream alone: it is stored elsewhere (collector/live.yaml)."""
    if services.live is None:
        raise Unavailable("this process has no live stream")
    live = services.live
    try:
        spans = ExportTraceServiceRequest.FromString(await request.body())
    except DecodeError as exc:
        raise NotOtlp("the body is not an OTLP/protobuf traces request") from exc
    for event in live.fanned.events(spans, "" if principal.operator else principal.tenant):
        live.bus.publish(event)
    return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


class NotOtlp(BadRequest):
    """An exporter takes 400 for what it must not send again (OTLP/HTTP)."""

    title = "Malformed OTLP"
    status = 400


def _known_types(texts: list[str]) -> frozenset[str]:
    named = {name.strip() for text in texts for name in text.split(",") if name.strip()}
    if unknown := sorted(named - set(TYPES)):
        raise BadRequest(f"type={unknown[0]!r} is unknown; these are: {', '.join(TYPES)}")
    return frozenset(named)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class _Stream(StreamingResponse):
    """Ends when the reader takes nothing any more, and lets go of its place in the bus however it ends."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes], live: Live) -> None:
        super().__init__(_joined(first, rest), media_type="text/event-stream", headers=_HEADERS)
        self._rest = rest
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._rest.aclose()

    async def stream_response(self, send: Send) -> None:
        async def timely(message: Message) -> None:
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                await send(message)

        try:
            await super().stream_response(timely)
        except TimeoutError:
            self._live.bus.dropped_readers += 1
