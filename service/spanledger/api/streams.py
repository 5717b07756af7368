"""Server-sent events from a task that runs beside the response and is cancelled with it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from spanledger.errors import SpanledgerError

_KEEP_ALIVE_S = 15.0
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Work = Callable[[Callable[[Any], None]], Awaitable[Any]]


class Piece:
    """A piece of output of running work."""

    def __init__(self, value: Any) -> None:
        self.value = value


class ClientGone(SpanledgerError):
    """Nobody reads the answer; the status is for our own log and span."""

    title = "Client closed the request"
    status = 499
    error_type = "cancelled"


async def disconnected(request: Request) -> None:
    """Returns when the client has gone. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Running:
    """Work in a task of its own: its pieces in order, then its result or its error."""

    def __init__(self, work: Work) -> None:
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._task = asyncio.ensure_future(work(lambda value: self._pieces.put_nowait(Piece(value))))
        self._task.add_done_callback(lambda _: self._pieces.put_nowait(None))
        self._first: Piece | None = None

    async def begin(self, request: Request) -> None:
        """Waits for the first piece or the end, while the client stays. Raises what the work raised before its first
        piece: until then the response has no status yet and can still be a proper error. Raises ClientGone."""
        first = asyncio.ensure_future(self._pieces.get())
        leaving = asyncio.ensure_future(disconnected(request))
        try:
            await asyncio.wait({first, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                raise ClientGone("the client went away before the answer began")
            self._first = first.result()
            if self._first is None:
                self._task.result()
        except BaseException:
            await self.stop()
            raise
        finally:
            first.cancel()
            leaving.cancel()

    async def pieces(self) -> AsyncIterator[Piece | None]:
        """The pieces from the first on; None when there was nothing to say for a while."""
        piece, self._first = self._first, None
        while piece is not None:
            yield piece
            while True:
                try:
                    piece = await asyncio.wait_for(self._pieces.get(), _KEEP_ALIVE_S)
                    break
                except TimeoutError:
                    yield None

    def result(self) -> Any:
        """After the last piece: what the work returned. Raises what it raised."""
        return self._task.result()

    async def stop(self) -> None:
        """Cancels the work if it still runs, and waits until it has cleaned up."""
        self._task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # retrieved, so that asyncio does not log it; callers use `result`


class EventStream(StreamingResponse):
    """A `text/event-stream` over running work. When the client goes away, the work is cancelled before we return."""

    def __init__(self, running: Running, body: AsyncIterator[str], headers: Mapping[str, str] = _HEADERS) -> None:
        super().__init__(body, media_type="text/event-stream", headers={**_HEADERS, **headers})
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._running.stop()


KEEP_ALIVE = ": waiting\n\n"


def event(data: Any, name: str = "") -> str:
    """One event; `data` becomes JSON."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
