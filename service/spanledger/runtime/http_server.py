"""The API's HTTP server: uvicorn with bounds on connections and times, and without ambiguous requests."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from spanledger import open_files
from spanledger.ingest.crowd import Crowd

HEADER_S = 30.0  # for a whole header, from the connection or from its first byte on
BODY_S = 60.0  # for a whole body; the API's own time-out comes before it and says so
IDLE_S = 15.0  # between requests of a connection
_TICK_S = 1.0
MOST_CONNECTIONS = 1000
_FILES_OF_THE_ENGINE = 640  # tables' columns, the spool, the registry, pipes
_MOST_HEADER_BYTES = 32 * 1024

_BARE_LF = re.compile(rb"(?<!\r)\n")
_FOLDED = re.compile(rb"\r\n[ \t]")
_LENGTH = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_HTTP_1_0 = re.compile(rb"[^\r\n]*HTTP/1\.0\r\n")
_END = re.compile(rb"\n\r?\n")


def ambiguity(header: bytes) -> str:
    """What makes two readers of a header see different requests; empty: nothing."""
    if _BARE_LF.search(header):
        return "a line ends without CR"
    if _FOLDED.search(header):
        return "a header is folded"
    if _CODING.search(header) and (_LENGTH.search(header) or _HTTP_1_0.match(header)):
        return "Transfer-Encoding with Content-Length or in HTTP/1.0"
    return ""


class _StrictConnection(h11.Connection):
    """Refuses what h11 would still read."""

    def next_event(self) -> Any:
        if self.their_state is h11.IDLE:
            data = self.trailing_data[0]
            found = _END.search(data)
            header = data[: found.end()] if found else data
            if why := ambiguity(header if found else header.rstrip(b"\r")):
                raise h11.RemoteProtocolError(why)
        return super().next_event()


class BoundedProtocol(H11Protocol):
    """One connection. `crowd` is that of its server."""

    def __init__(self, *args: Any, crowd: Crowd, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = _StrictConnection(h11.SERVER, _MOST_HEADER_BYTES)
        self._crowd = crowd
        self._awaits: Any = None  # the state of the peer that a deadline runs for
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._crowd.enter(self)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._crowd.busy(self)
        if not self.transport.is_closing():
            self._watch()

    def on_response_complete(self) -> None:
        if not self.transport.is_closing():
            self._crowd.silent(self)
        super().on_response_complete()

    def force_close(self) -> None:
        """Closes without a word: there is no room."""
        self._forget_deadline()
        self.transport.abort()

    def _watch(self) -> None:
        """A header and a body each have one deadline, which drips of data do not move."""
        state = self.conn.their_state
        if state is self._awaits:
            return
        self._forget_deadline()
        seconds = {h11.IDLE: HEADER_S, h11.SEND_BODY: BODY_S}.get(state)
        if seconds is not None:
            self._awaits = state
            self._deadline = self.loop.call_later(seconds, self.force_close)

    def _forget_deadline(self) -> None:
        self._awaits = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Leaves signals to the composition root and says when it accepts."""

    def __init__(self, app: Any, drain_s: float) -> None:
        crowd = Crowd(open_files.connections(MOST_CONNECTIONS, _FILES_OF_THE_ENGINE))

        class Protocol(BoundedProtocol):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, crowd=crowd, **options)

        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                backlog=open_files.ACCEPTED_AT_ONCE,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=int(IDLE_S),
                timeout_graceful_shutdown=int(drain_s),
            )
        )
        self.accepts = asyncio.Event()
        self._over = asyncio.Event()

    async def main_loop(self) -> None:
        """Wakes once a second, which the date of answers needs; uvicorn's own loop wakes ten times."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _TICK_S)

    def end(self) -> None:
        """Accepts nothing more and waits for the answers under way, `drain_s` at most."""
        self.should_exit = True
        self._over.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            open_files.queue(listener)
        self.accepts.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
