"""The HTTP server of the endpoint: aiohttp's, with a limit of its connections and a relay for gRPC."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from spanledger.ingest.crowd import Crowd
from spanledger.ingest.http2 import Http2AwareHandler, Relays

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BoundedServer(web.Server):
    """An aiohttp server with a `Crowd`. Where all are busy one more is let in, and `overfull` says so."""

    def __init__(self, handle: Handle, most: int, relays: Relays, **options: Any) -> None:
        """`relays` take over the connections of clients that speak HTTP/2."""
        super().__init__(self._note, logger=_protocol_log, **options)
        self._handle = handle
        self._relays = relays
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


class _MalformedRequests(logging.Filter):
    """aiohttp logs a malformed request with the malformed line, which may hold a secret. The filter keeps the kind of
    the error alone, and one record in ten seconds."""

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
        record.msg, record.args = "a malformed request was refused: %s", (kind.__name__,)
        record.exc_info = record.exc_text = None  # the text, which scrubbing keeps, quotes the line too
        return True


_protocol_log = logging.getLogger("spanledger.ingest.protocol")
_protocol_log.addFilter(_MalformedRequests())
