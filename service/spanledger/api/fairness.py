"""Schedules requests in lanes, so that one tenant's requests cannot occupy all shared threads."""

import asyncio
import re
from collections import deque
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.access import LOCAL, Principal
from spanledger.api import problems
from spanledger.lanes import Busy, Lane, Width

# The threads that synchronous routes share are 40: with all lanes full some are left for /readyz.
WIDTHS = {
    "sql": Width(total=2, share=1, waiting=16),  # each with a process of its own
    "audit": Width(total=4, share=2, waiting=8),
    "stream": Width(total=2_000, share=500, waiting=0),
    "documents": Width(total=4, share=2, waiting=100),
    "evaluations": Width(total=8, share=4, waiting=100),
    "read": Width(total=24, share=8, waiting=500),
}
_AT_ONCE_S = 0.001
_KEPT_BYTES = 1024 * 1024  # of a request that waits
_LANES = (
    ("sql", "POST", re.compile(r"/v1/sql")),
    ("audit", "*", re.compile(r"/v1/audit|/v1/operations/.*|/v1/reprice")),
    ("stream", "GET", re.compile(r"/v1/events")),
    ("documents", "POST", re.compile(r"/v1/documents|/v1/retrieval/search|/v1/embeddings")),
    ("evaluations", "POST", re.compile(r"/v1/messages/[^/]+/evaluations|/v1/conversations/[^/]+/seal")),
    # A chat holds no thread and lasts as long as its model; the others are the service's own.
    ("", "POST", re.compile(r"/v1/conversations/[^/]+/messages|/v1/chat/completions|/v1/responses|/v1/completions")),
    ("", "*", re.compile(r"/healthz|/readyz|/v1/live/.*|/v1/flush|/v1/canary")),
)


class Turns:
    """ASGI middleware, inside `Authentication`: a request waits for its tenant's turn before a route begins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lanes = {name: Lane(name, width) for name, width in WIDTHS.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = lane_of(scope["method"], scope["path"]) if scope["type"] == "http" else ""
        if not name:
            await self._app(scope, receive, send)
            return
        principal: Principal = scope.get("state", {}).get("principal", LOCAL)
        lane, waiting = self._lanes[name], _Waiting(receive)
        try:
            if not await waiting.until_turn(lane, principal.tenant):
                return
        except Busy as exc:
            response = problems.of_error(exc, openai=problems.for_openai(Request(scope)))
            await response(scope, receive, send)
            return
        try:
            await self._app(scope, waiting.receive, send)
        finally:
            lane.leave(principal.tenant)


class _Waiting:
    """Receives from the client while the request waits: keeps data for the route, ends the wait when it leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] = deque()

    async def until_turn(self, lane: Lane, tenant: str) -> bool:
        """False when the client went first. Raises Busy."""
        turn = asyncio.ensure_future(lane.enter(tenant))
        try:
            return await self._until(turn)
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                lane.leave(tenant)
            turn.cancel()
            raise

    async def _until(self, turn: "asyncio.Future[None]") -> bool:
        await asyncio.wait({turn}, timeout=_AT_ONCE_S)
        if turn.done():
            turn.result()
            return True
        listening = asyncio.ensure_future(self._listen())
        both: set[asyncio.Future[Any]] = {turn, listening}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done() and listening.result():
                return False
            await turn
            return True
        finally:
            listening.cancel()
            if not turn.done():
                turn.cancel()

    async def _listen(self) -> bool:
        """True: the client has gone. False: it sends more than is kept here."""
        size = 0
        while size <= _KEPT_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return True
            self._kept.append(message)
            size += len(message.get("body", b""))
        return False

    async def receive(self) -> Message:
        return self._kept.popleft() if self._kept else await self._receive()


def lane_of(method: str, path: str) -> str:
    """Empty: none."""
    for name, verb, pattern in _LANES:
        if verb in ("*", method) and pattern.fullmatch(path):
            return name
    return "read"
