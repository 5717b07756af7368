"""OTLP/HTTP and gRPC on the same ports: a connection that begins with HTTP/2's preface is relayed to the gRPC server.

Many SDKs speak gRPC by default and are pointed at the HTTP port, others are pointed at the gRPC port with
HTTP. The gRPC server listens on a port of loopback of its own. Where gRPC is off, the client gets a gRPC status whose
message names the setting.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from spanledger.ingest.crowd import Crowd

PREFACE = b"PRI * HTTP/2.0"
_HINT = b"OTLP/HTTP only here: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or open the gRPC port"
# HTTP/2 (RFC 9113): kinds of frames and flags.
_HEADERS, _SETTINGS, _PING = 1, 4, 6
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_FRAME_HEADER, _MAX_FRAME = 9, 16_384
_PREFACE_BYTES = 24
_REFUSAL_S = 10.0  # how long a connection is kept open to answer its calls
_FLUSH_S = 10.0  # after one end closed, the relay delivers its remaining bytes to the other end for so long
_STATUS_200 = b"\x88"  # HPACK's index of `:status 200`
log = logging.getLogger(__name__)


class Relays:
    """The relayed connections of one door process. A new one replaces the one that has been idle longest."""

    def __init__(self, port: int, most: int) -> None:
        """`port`: of the gRPC server on loopback; 0: there is none."""
        self.port = port
        self.crowd = Crowd(most)


class Http2AwareHandler(web.RequestHandler):
    """aiohttp's connection, but for one whose first bytes are HTTP/2's preface."""

    __slots__ = ("_relays",)

    def __init__(self, server: Any, relays: Relays, **options: Any) -> None:
        super().__init__(server, **options)
        self._relays = relays

    def data_received(self, data: bytes) -> None:
        transport = self.transport
        if self._request_count == 0 and data.startswith(PREFACE) and isinstance(transport, asyncio.Transport):
            self.transport = None  # for aiohttp the connection is over; without a transport it closes none
            self.connection_lost(None)
            _pass_on(transport, data, self._relays)
        else:
            super().data_received(data)


def _pass_on(transport: asyncio.Transport, data: bytes, relays: Relays) -> None:
    if not relays.port:
        _refuse(transport, data)
    else:
        client = _Client(transport, data, relays)
        transport.set_protocol(client)
        client.start()


def _refuse(transport: asyncio.Transport, data: bytes) -> None:
    refusal = _Refusal(transport)
    transport.set_protocol(refusal)
    refusal.data_received(data[_PREFACE_BYTES:])
    asyncio.get_running_loop().call_later(_REFUSAL_S, transport.close)


class _Refusal(asyncio.Protocol):
    """Answers every call of a gRPC client with UNIMPLEMENTED and a message."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._headers = _literal(b"content-type", b"application/grpc") + _literal(b"grpc-status", b"12")
        self._headers = _STATUS_200 + self._headers + _literal(b"grpc-message", _HINT)
        self._buffer = b""
        transport.write(_frame(_SETTINGS, 0, 0, b""))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _FRAME_HEADER:
            length = int.from_bytes(self._buffer[:3], "big")
            kind, flags, stream = self._buffer[3], self._buffer[4], int.from_bytes(self._buffer[5:9], "big")
            if length > _MAX_FRAME:
                self._transport.close()
                return
            if len(self._buffer) < _FRAME_HEADER + length:
                return
            payload, self._buffer = self._buffer[9 : 9 + length], self._buffer[9 + length :]
            self._answer(kind, flags, stream, payload)

    def _answer(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._transport.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _HEADERS and flags & _END_HEADERS:
            self._transport.write(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, self._headers))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field of HPACK, in plain text and kept out of its table (RFC 7541, 6.2.2); both below 127 bytes."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


class _Side(asyncio.Protocol):
    """One end of a relay: what arrives here is written there, no faster than it is read there."""

    def __init__(self, transport: asyncio.Transport | None = None) -> None:
        self.transport = transport
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()
            asyncio.get_running_loop().call_later(_FLUSH_S, self.other.transport.abort)


class _Client(_Side):
    """The client's end; it opens the other one."""

    def __init__(self, transport: asyncio.Transport, first: bytes, relays: Relays) -> None:
        super().__init__(transport)
        self._first = first
        self._relays = relays
        relays.crowd.enter(self)
        self._opening: asyncio.Task[None] | None = None

    def start(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            _, listener = await asyncio.get_running_loop().create_connection(_Side, "127.0.0.1", self._relays.port)
        except OSError as exc:
            log.warning("the gRPC server cannot be reached: %s", exc)
            if self.transport is not None:
                self.transport.close()
            return
        if self.transport is None or listener.transport is None:
            if listener.transport is not None:
                listener.transport.close()
            return
        listener.other, self.other = self, listener
        listener.transport.write(self._first)
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._relays.crowd.heard(self)
        super().data_received(data)

    def force_close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relays.crowd.leave(self)
        super().connection_lost(exc)
