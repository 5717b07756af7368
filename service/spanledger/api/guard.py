"""Checks and limits that apply to every request. Routers need no code for them.

- `Host` and `Origin`: access/hosts.py.
- A JSON body has a limited number of values, because parsing and validating it blocks the event loop.
- An answer that is not streamed has a limited size.
- A request body has a deadline, and so has each part of an answer that the client does not read.
- Answers carry `nosniff`, `no-store` and a ban on framing, unless the route sets these headers itself.
"""

import asyncio
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.access.hosts import Hosts
from spanledger.api import problems
from spanledger.errors import Misdirected, Refused, SpanledgerError, TooLarge

BODY_S = 30.0  # for a whole body
MOST_ANSWER_BYTES = 64 * 1024**2  # of an answer that is not streamed
MOST_VALUES = 30_000  # of a JSON body, and of the names in it; a conversation of 10,000 messages has them
_MOST_BY_PATH = {"/v1/embeddings": 300_000}  # texts may come as tokens, which have no names
TAKEN_S = 60.0  # within which a client takes a part of its answer
_TEXT = re.compile(rb'"[^"]*"')  # where no quote is escaped any more
_NO_PUNCTUATION = bytes(set(range(256)) - set(b'",:{['))
_PIECE = 64 * 1024
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

        cut = False

        async def send_guarded(message: Message) -> None:
            nonlocal cut
            if cut:
                return  # what was too long is not sent after the problem that says so
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if int(headers.get("content-length", "0")) > MOST_ANSWER_BYTES:
                    cut = True
                    await _too_long(scope, headers, send)
                    return
                for name, value in DEFAULTS.items():
                    headers.setdefault(name, value)
            async with asyncio.timeout(TAKEN_S):
                await send(message)

        error = self._refusal(scope)
        if error is not None:
            await problems.of_error(error, openai=problems.for_openai(Request(scope)))(scope, receive, send_guarded)
            return
        body = _Body(receive)
        if _is_json(scope):
            body.most_values = _MOST_BY_PATH.get(scope["path"], MOST_VALUES)
        await self._app(scope, body.receive, send_guarded)

    def _refusal(self, scope: Scope) -> SpanledgerError | None:
        headers = Headers(scope=scope)
        if why := self._hosts.misdirected(headers.get("host", "")):
            return Misdirected(why)
        if why := self._hosts.foreign(scope["method"], headers):
            return Refused(why)
        return None


async def _too_long(scope: Scope, headers: MutableHeaders, send: Send) -> None:
    size = int(headers["content-length"])
    text = f"the answer would have {size:,} bytes and may have {MOST_ANSWER_BYTES:,}: ask for less, or page through it"
    response = problems.of_error(TooLarge(text), openai=problems.for_openai(Request(scope)))
    for name, value in DEFAULTS.items():
        response.headers.setdefault(name, value)
    await response(scope, _nothing, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


class _Body:
    """Receives a request's body until its deadline. What comes after the body may take as long as it likes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_S
        self._complete = False
        self._values = self._names = 0
        self._parts: list[bytes] = []
        self.most_values = 0  # of JSON, counted before anything is made of it; 0: it is none

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as exc:
            raise HTTPException(408, "the body did not arrive in time") from exc
        self._complete = not message.get("more_body", False)
        if self.most_values:
            part = message.get("body", b"")
            self._parts.append(part)
            self._values += part.count(b",") + part.count(b"{") + part.count(b"[")
            self._names += part.count(b":")
            if self._complete and (self._values > self.most_values or self._names > MOST_VALUES):
                await _check_values(b"".join(self._parts), self.most_values)
        return message


async def _check_values(body: bytes, most: int) -> None:
    """Counts without the texts, which hold commas and brackets too. Raises HTTPException."""
    rest = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_PUNCTUATION)
    values, names, start, carried = 0, 0, 0, b""
    while start < len(rest):
        bare = _TEXT.sub(b"", carried + rest[start : start + _PIECE])
        start += _PIECE
        opened = bare.find(b'"')  # a text that goes on in the next piece
        bare, carried = (bare, b"") if opened < 0 else (bare[:opened], b'"')
        named = bare.count(b":")
        values, names = values + len(bare) - named, names + named
        if values > most:
            raise HTTPException(413, f"the body may hold {most:,} JSON values, and holds more")
        if names > MOST_VALUES:
            raise HTTPException(413, f"the objects of the body may hold {MOST_VALUES:,} members, and hold more")
        await asyncio.sleep(0)


def _is_json(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return scope["method"] not in {"GET", "HEAD"} and (kind == "application/json" or kind.endswith("+json"))
