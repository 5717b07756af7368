"""Which lane a request waits in, so that no tenant's requests hold the threads that all of them share."""

import re
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from spanledger.access import LOCAL, Principal
from spanledger.api import problems
from spanledger.runtime.lanes import Busy, Lane, Width

# The threads that synchronous routes share are 40: with all lanes full some are left for /readyz.
WIDTHS = {
    "sql": Width(total=2, share=1, waiting=16),  # each with a process of its own
    "audit": Width(total=4, share=2, waiting=8),
    "stream": Width(total=2_000, share=500, waiting=0),
    "documents": Width(total=4, share=2, waiting=100),
    "evaluations": Width(total=8, share=4, waiting=100),
    "read": Width(total=24, share=8, waiting=500),
}
_LANES = (
    ("sql", "POST", re.compile(r"/v1/sql")),
    ("audit", "*", re.compile(r"/v1/audit|/v1/reprice")),
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
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._lanes[name].turn(principal.tenant))
            except Busy as exc:
                response = problems.of_error(exc, openai=problems.for_openai(Request(scope)))
                await response(scope, receive, send)
                return
            await self._app(scope, receive, send)


def lane_of(method: str, path: str) -> str:
    """Empty: none."""
    for name, verb, pattern in _LANES:
        if verb in ("*", method) and pattern.fullmatch(path):
            return name
    return "read"
