"""Limits the connections of a listener: a new connection replaces the one that has been idle longest."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from spanledger.ingest.http2 import Http2AwareHandler, Relays

_SILENT_S = 1.0  # a connection that spoke within it is not closed, unless the bound is far behind
_BEYOND = 8  # one eighth more than the bound, and no fewer than so many, may be present for a moment

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Peer(Protocol):
    """A connection that can be closed at once."""

    def force_close(self) -> None: ...


class Crowd:
    """The connections of one listener.

    A connection is silent while it waits for a request or has not finished a request's header.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._present = 0
        self._silent: dict[Peer, float] = {}  # since when, in the order of it

    @property
    def overfull(self) -> bool:
        return self._present > self._most

    def enter(self, peer: Peer) -> None:
        """Counts a new connection. Where there is no room the longest silent one is closed, or the new one itself."""
        self._present += 1
        far_beyond = self._present > self._most + max(_BEYOND, self._most // _BEYOND)
        if self.overfull and not self._make_room(0.0 if far_beyond else _SILENT_S) and far_beyond:
            _close_soon(peer)
            return
        self._silent[peer] = time.monotonic()

    def leave(self, peer: Peer) -> None:
        self._present -= 1
        self._silent.pop(peer, None)

    def busy(self, peer: Peer) -> None:
        """A request of it is being handled."""
        self._silent.pop(peer, None)

    def silent(self, peer: Peer) -> None:
        """Its request has been answered."""
        self._silent[peer] = time.monotonic()

    def _make_room(self, silent_s: float) -> bool:
        longest = next(iter(self._silent), None)
        if longest is None or time.monotonic() - self._silent[longest] < silent_s:
            return False
        del self._silent[longest]
        _close_soon(longest)
        return True


def _close_soon(peer: Peer) -> None:
    """Not within the callback that tells of a new connection: its handler has not begun yet."""
    asyncio.get_running_loop().call_soon(peer.force_close)


class BoundedServer(web.Server):
    """An aiohttp server with a `Crowd`. Where all are busy one more is let in, and `overfull` says so."""

    def __init__(self, handle: Handle, most: int, grpc_address: str = "", **options: Any) -> None:
        """`grpc_address`: where a client that speaks HTTP/2 is connected to; empty: nowhere, and it is told so."""
        super().__init__(self._note, logger=_protocol_log, **options)
        self._handle = handle
        self._relays = Relays(grpc_address)
        self._crowd = Crowd(most)

    def __call__(self) -> web.RequestHandler:
        return Http2AwareHandler(self, self._relays, loop=self._loop, **self._kwargs)

    @property
    def overfull(self) -> bool:
        return self._crowd.overfull

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        super().connection_made(handler, transport)
        self._crowd.enter(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._crowd.leave(handler)

    async def _note(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        self._crowd.busy(handler)
        try:
            return await self._handle(request)
        finally:
            if handler.transport is not None:
                self._crowd.silent(handler)


class _WithoutItsWords(logging.Filter):
    """aiohttp logs a malformed request with the line that it tripped over, which may hold a key. Only the kind of the
    error is kept, and one record in ten seconds."""

    _EVERY_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._last = -self._EVERY_S

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        if kind is None or not issubclass(kind, BadHttpMessage):
            return True
        if time.monotonic() - self._last < self._EVERY_S:
            return False
        self._last = time.monotonic()
        record.msg, record.args, record.exc_info = "a malformed request was refused: %s", (kind.__name__,), None
        return True


_protocol_log = logging.getLogger("spanledger.ingest.protocol")
_protocol_log.addFilter(_WithoutItsWords())
