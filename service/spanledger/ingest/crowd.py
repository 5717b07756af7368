"""A listener with a bound on its connections: whoever has been silent longest makes room for who comes."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

_SILENT_S = 1.0  # who said something within it is not sent away

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BoundedServer(web.Server):
    """An aiohttp server that closes silent connections when there are more than `most`.

    Silent is who keeps a connection for later, or has not finished a request's header. Where all are busy one more is
    let in, and `overfull` says so.
    """

    def __init__(self, handle: Handle, most: int, **options: Any) -> None:
        super().__init__(self._note, **options)
        self._handle = handle
        self._most = most
        self._present = 0
        self._silent: dict[web.RequestHandler, float] = {}  # since when, in the order of it

    @property
    def overfull(self) -> bool:
        return self._present > self._most

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        super().connection_made(handler, transport)
        self._present += 1
        if self.overfull:
            self._make_room()
        self._silent[handler] = time.monotonic()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._present -= 1
        self._silent.pop(handler, None)

    async def _note(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        self._silent.pop(handler, None)
        try:
            return await self._handle(request)
        finally:
            if handler.transport is not None:
                self._silent[handler] = time.monotonic()

    def _make_room(self) -> None:
        longest = next(iter(self._silent), None)
        if longest is not None and time.monotonic() - self._silent[longest] >= _SILENT_S:
            del self._silent[longest]
            longest.force_close()
