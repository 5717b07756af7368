"""What holds for every request, whatever route it takes: for whom it was meant, how long it may take to arrive, and
what its answer may be used for. Routers need to do nothing for it.

- `Host` and `Origin`: access/hosts.py.
- A body has a deadline, and so has each part of an answer that the client does not take.
- Answers are not to be guessed at (`nosniff`), kept (`no-store`) or framed, unless the route sets those headers itself.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.access.hosts import Hosts
from spanledger.api import problems
from spanledger.errors import Misdirected, Refused, SpanledgerError

BODY_S = 30.0  # for a whole body
TAKEN_S = 60.0  # within which a client takes a part of its answer
DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware, inside `Correlation` and outside of `Authentication`."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in DEFAULTS.items():
                    headers.setdefault(name, value)
            async with asyncio.timeout(TAKEN_S):
                await send(message)

        error = self._refusal(scope)
        if error is not None:
            await problems.of_error(error, openai=problems.for_openai(Request(scope)))(scope, receive, send_guarded)
            return
        await self._app(scope, _Body(receive).receive, send_guarded)

    def _refusal(self, scope: Scope) -> SpanledgerError | None:
        headers = Headers(scope=scope)
        if why := self._hosts.misdirected(headers.get("host", "")):
            return Misdirected(why)
        if why := self._hosts.foreign(scope["method"], headers):
            return Refused(why)
        return None


class _Body:
    """Receives a request's body until its deadline. What comes after the body may take as long as it likes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_S
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as exc:
            raise HTTPException(408, "the body did not arrive in time") from exc
        self._complete = not message.get("more_body", False)
        return message
