"""The outermost layer of every request: correlation id, ids of the path, unexpected errors."""

import logging
import uuid
from urllib.parse import quote, unquote, unquote_to_bytes

from fastapi import Request
from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.api import problems
from spanledger.telemetry import errors, ids

HEADER = "X-Correlation-ID"
_REQUEST_ID = "X-Request-ID"  # what OpenAI's clients show of an answer or error
MAX_LENGTH = 256
MAX_BODY_BYTES = 8 * 1024 * 1024  # of any request: room for a prompt of a million tokens
_log = logging.getLogger(__name__)


class Correlation:
    """ASGI middleware.

    Takes the caller's correlation id if it is 1 to 256 printable ASCII characters, else makes one; puts it and a W3C
    `traceresponse` on the response and into everything the request emits. An exception that nobody handled is logged
    and answered with a problem that says nothing of its inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER.lower(), "")
        correlation_id = given if _usable(given) else str(uuid.uuid4())
        span = trace.get_current_span()
        traceresponse = _traceresponse(span)
        started = False

        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, f"a request may have {MAX_BODY_BYTES:,} bytes")
            return message

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[HEADER] = correlation_id
                if problems.is_openais(scope["path"]):
                    headers[_REQUEST_ID] = correlation_id
                if traceresponse:
                    headers["traceresponse"] = traceresponse
            await send(message)

        with ids.carry(correlation_id=correlation_id) as carried:
            ids.stamp(span, carried)
            try:
                path = _routable(scope)
                if path is None:
                    response = problems.problem(400, "Bad address", "path and query must be percent-encoded UTF-8")
                    await response(scope, receive, send_named)
                    return
                scope["path"] = path
                await self._app(scope, receive_limited, send_named)
            except Exception as exc:
                _log.exception("%s %s failed", scope["method"], scope["path"])
                errors.fail(span, exc)
                if started:
                    raise  # the status is sent: all that is left is to cut the connection
                response = problems.of_error(exc, openai=problems.for_openai(Request(scope)))
                await response(scope, receive, send_named)


async def decode_path_ids(request: Request) -> None:
    """Dependency of every route: path parameters as the caller meant them, slashes and percent signs included."""
    if "%2F" in request.scope["path"]:
        # The instrumentation looked for the route before we found it.
        trace.get_current_span().update_name(f"{request.method} {request.scope['route'].path}")
    parameters = request.path_params
    for name, value in parameters.items():
        if isinstance(value, str):
            parameters[name] = unquote(value)


def _routable(scope: Scope) -> str | None:
    """The path with only the `/` that separate: an id may hold `%2F`. None if it or the query is not UTF-8."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in raw.split(b"?", 1)[0].split(b"/")]
        unquote_to_bytes(scope["query_string"]).decode()
    except UnicodeDecodeError:
        return None
    return "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


def _usable(correlation_id: str) -> bool:
    return 0 < len(correlation_id) <= MAX_LENGTH and correlation_id.isascii() and correlation_id.isprintable()


def _traceresponse(span: trace.Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    trace_id, span_id = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{int(context.trace_flags):02x}"
