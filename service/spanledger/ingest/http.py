"""OTLP over HTTP: paths, methods, headers and limits of the endpoint."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import HttpVersion11, web

from spanledger.access.hosts import Hosts, Origins
from spanledger.ingest.answers import CONTENT_TYPES, Answer, Encoding
from spanledger.ingest.door import Door, encoding_of
from spanledger.ingest.http2 import Relays
from spanledger.ingest.limits import Allowance, Limited, Limits
from spanledger.ingest.listener import BoundedServer
from spanledger.ingest.senders import Sender, Senders, TurnedAway
from spanledger.ingest.signals import BY_PATH, Signal

Sync = Callable[[str], Awaitable[None]]  # waits until the disk has what was stored of a signal


async def synced(answer: Answer, signal: Signal, sync: Sync | None) -> Answer:
    """The answer, once the disk has what was accepted; a refusal when it does not take it."""
    if sync is not None and answer.accepted:
        try:
            await sync(signal.name)
        except OSError as exc:
            return Answer(503, f"the spool cannot be synced: {exc.strerror}", retry_after=5)
    return answer


def over_limit(exc: Limited) -> Answer:
    """Retry-After has whole seconds, so it is rounded up: after it the request is accepted."""
    return Answer(429, str(exc), retry_after=math.ceil(exc.retry_after))


_CORS = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Encoding, Content-Type, X-Api-Key, traceparent, tracestate",
    "Access-Control-Max-Age": "7200",
}


_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(?: *, *[\w!#$%&'*+.^`|~-]+)*", re.ASCII)


def _asked_headers(request: web.BaseRequest) -> dict[str, str]:
    """Those that the page wants to send: exporters are given headers that mean nothing here."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    return {"Access-Control-Allow-Headers": asked} if len(asked) <= 4096 and _HEADER_NAMES.fullmatch(asked) else {}


@dataclass(frozen=True)
class Bounds:
    """Protection against slow, many and large requests of any sender."""

    body_timeout_s: float = 30.0  # for a whole body
    idle_timeout_s: float = 75.0  # for a whole header, and between requests of a connection
    max_buffered_bytes: int = 192 * 1024 * 1024  # request bodies in memory at a time
    max_connections: int = 2000  # beyond it the silent are closed, and where all are busy the next is refused
    max_relayed: int = 500  # gRPC connections; beyond it the silent are closed

    @classmethod
    def within(cls, files: int) -> "Bounds":
        """As many connections as `files` open files allow; a relayed one takes three."""
        wanted = cls.max_connections + 3 * cls.max_relayed
        share = min(1.0, files / wanted)
        return cls(max_connections=int(cls.max_connections * share), max_relayed=int(cls.max_relayed * share))


class HttpDoor:
    """The request handler. `limits` are each sender's. `origins`: whose pages may send; none: no CORS headers.

    `grpc_port`: where the gRPC server listens on loopback; 0: nowhere.
    """

    def __init__(
        self,
        door: Door,
        sync: Sync | None,
        limits: Limits,
        senders: Senders,
        bounds: Bounds = Bounds(),
        origins: Origins = Origins(),  # noqa: B008 - nothing changes it
        hosts: Hosts | None = None,
        grpc_port: int = 0,
    ) -> None:
        self._door = door
        self._sync = sync
        self._limits = limits
        self._senders = senders
        self._bounds = bounds
        self._origins = origins
        self._hosts = hosts
        self._buffered = 0
        self.server = BoundedServer(
            self._handle,
            bounds.max_connections,
            Relays(grpc_port, bounds.max_relayed),
            keepalive_timeout=bounds.idle_timeout_s,
            auto_decompress=False,
            access_log=None,
            lingering_time=2.0,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answer(request)
        response.headers.update(self._origins.headers(request.headers.get("Origin", "")))
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.server.overfull:
            response = self._respond(Answer(503, "too many connections", retry_after=1), None, "json")
            response.force_close()
            return response
        signal = BY_PATH.get("/" + request.path.strip("/"))  # an address with a slash at its end makes `//v1/traces`
        encoding = encoding_of(request.headers.get("Content-Type", ""))
        refused = self._refusal(request, signal, encoding)
        if refused is not None:
            return refused
        assert signal is not None
        assert encoding is not None
        key_id = ""
        try:
            sender = self._senders.of(request.headers.get("Authorization"), request.headers.get("X-Api-Key"))
            key_id = sender.key_id
            with self._limits.request(key_id, request.content_length or 0) as allowance:
                response = await self._export(request, signal, encoding, allowance, sender)
        except TurnedAway as exc:
            key_id = exc.key_id
            response = self._closing(exc.answer, signal, encoding)
        except Limited as exc:
            response = self._closing(over_limit(exc), signal, encoding)
        self._door.counts.senders[f"{key_id}/{response.status}"] += 1
        return response

    def _refusal(
        self, request: web.BaseRequest, signal: Signal | None, encoding: Encoding | None
    ) -> web.Response | None:
        shown: Encoding = encoding or "json"
        if self._hosts is not None:
            wrong = self._hosts.misdirected(request.headers.get("Host", ""))
            if wrong:
                return self._respond(Answer(421, wrong), signal, shown)
            if wrong := self._hosts.foreign(request.method, request.headers):
                return self._respond(Answer(403, wrong), signal, shown)
        if request.version < HttpVersion11 and "Transfer-Encoding" in request.headers:
            response = self._respond(Answer(400, "Transfer-Encoding is not part of HTTP/1.0"), signal, shown)
            response.force_close()
            return response
        if signal is None:
            paths = ", ".join(BY_PATH)
            return self._respond(Answer(404, f"no such path; OTLP is received at {paths}"), None, shown)
        if request.method == "OPTIONS" and self._origins:
            return web.Response(status=204, headers=_CORS | _asked_headers(request))
        if request.method != "POST":
            response = self._respond(Answer(405, "use POST"), signal, shown)
            response.headers["Allow"] = "POST"
            return response
        if encoding is None:
            answer = Answer(415, "Content-Type must be application/x-protobuf or application/json")
            return self._respond(answer, signal, shown)
        if (request.content_length or 0) > self._door.max_body_bytes:
            response = self._respond(self._door.too_large(), signal, shown)
            response.force_close()
            return response
        return None

    async def _export(
        self, request: web.BaseRequest, signal: Signal, encoding: Encoding, allowance: Allowance, sender: Sender
    ) -> web.Response:
        held = 0
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._bounds.body_timeout_s):
                async for chunk in request.content.iter_any():
                    held += len(chunk)
                    allowance.received(len(chunk))
                    self._buffered += len(chunk)
                    if held > self._door.max_body_bytes:
                        return self._closing(self._door.too_large(), signal, encoding)
                    if self._buffered > self._bounds.max_buffered_bytes:
                        answer = Answer(503, "too many bodies in memory", retry_after=1)
                        return self._closing(answer, signal, encoding)
                    chunks.append(chunk)
        except TimeoutError:
            return self._closing(Answer(408, "the body did not arrive in time"), signal, encoding)
        else:
            content_encoding = request.headers.get("Content-Encoding", "")
            body = b"".join(chunks)
            answer, size = await self._door.accept_in_turn(sender, signal, body, encoding, content_encoding)
            allowance.received(max(0, size - len(body)))
            return self._respond(await synced(answer, signal, self._sync), signal, encoding)
        finally:
            self._buffered -= held

    def _closing(self, answer: Answer, signal: Signal, encoding: Encoding) -> web.Response:
        self._door.counts.answers[answer.status] += 1
        response = self._respond(answer, signal, encoding)
        response.force_close()
        return response

    def _respond(self, answer: Answer, signal: Signal | None, encoding: Encoding) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPES[encoding]}
        if answer.retry_after:
            headers["Retry-After"] = str(answer.retry_after)
        if answer.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="spanledger"'
        if answer.status == 415:
            headers["Accept-Encoding"] = "gzip, zstd, deflate"
        return web.Response(status=answer.status, body=answer.body(signal, encoding), headers=headers)
