"""Many, slow, silent and half-open connections at the door: real sockets, and bounds short enough to wait for."""

import asyncio
import logging
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from otlp_make import trace_request
from spanledger import private
from spanledger.ingest import crowd, listener, rpc, spool
from spanledger.ingest.door import Door
from spanledger.ingest.http import Bounds, HttpDoor
from spanledger.ingest.limits import Limits, Quota
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.room import Room
from spanledger.ingest.senders import Senders
from spanledger.ingest.service import Ingest
from spanledger.settings import Settings
from spanledger.store.client import Store

HEADER = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
BODY = trace_request({}).SerializeToString()
REQUEST = HEADER + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
PING = bytes((0, 0, 8, 6, 0, 0, 0, 0, 0)) + b"12345678"
LATEST_S = 20.0


class Peer:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def ask(self) -> int:
        """Sends a whole request; its status."""
        self.say(REQUEST)
        return await self.status()

    async def status(self) -> int:
        async with asyncio.timeout(LATEST_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await self._reader.readexactly(int(length.split(b":")[1]))
        return int(head.split()[1])

    async def heard(self) -> None:
        """Returns when something has arrived."""
        async with asyncio.timeout(LATEST_S):
            assert await self._reader.read(65_536)

    async def ended(self) -> None:
        """Returns when the other side has closed, whatever it sent before."""
        async with asyncio.timeout(LATEST_S):
            with suppress(ConnectionError):
                await self._reader.read()

    async def closed(self) -> None:
        """Returns when the other side has closed; fails on an answer."""
        async with asyncio.timeout(LATEST_S):
            with suppress(ConnectionError):
                assert await self._reader.read(1) == b""


class Place:
    """A door on a port of its own."""

    def __init__(self, stack: AsyncExitStack, port: int, http: HttpDoor) -> None:
        self._stack = stack
        self._port = port
        self.http = http

    async def peer(self) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._stack.callback(writer.close)
        return Peer(reader, writer)


@asynccontextmanager
async def place(tmp_path: Path, bounds: Bounds, grpc: bool = False) -> AsyncIterator[Place]:
    spool.prepare(tmp_path)
    writer = spool.Writer(tmp_path, durable=False, on_ready=lambda _: None)
    door = Door(writer, Room(tmp_path, 10**9, 0), 10**6, Masking(rules_of({}, ""), tmp_path))
    relayed, grpc_port = await rpc.serve(door, None, Limits(Quota()), Senders()) if grpc else (None, 0)
    http = HttpDoor(door, None, Limits(Quota()), Senders(), bounds, grpc_port=grpc_port)
    server = await asyncio.get_running_loop().create_server(http.server, "127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        yield Place(stack, server.sockets[0].getsockname()[1], http)
    server.close()
    await http.server.shutdown(1)
    if relayed is not None:
        await relayed.stop(grace=0)
    writer.close()


def test_who_has_been_silent_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "_SILENT_S", 0.0)

    async def run() -> None:
        async with place(tmp_path, Bounds(max_connections=3)) as door:
            first, second, third = [await door.peer() for _ in range(3)]
            assert [await peer.ask() for peer in (first, second, third)] == [200, 200, 200]
            assert await first.ask() == 200
            assert await (await door.peer()).ask() == 200
            await second.closed()
            assert [await first.ask(), await third.ask()] == [200, 200]

    asyncio.run(run())


def test_who_is_busy_stays_and_where_all_are_the_next_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "_SILENT_S", 0.0)

    async def run() -> None:
        async with place(tmp_path, Bounds(max_connections=2)) as door:
            busy = [await door.peer() for _ in range(2)]
            for peer in busy:
                peer.say(REQUEST[:-1])
            while door.http.server.requests_count < 2:  # noqa: ASYNC110 - the server has no event to wait for
                await asyncio.sleep(0)
            refused = await door.peer()
            assert await refused.ask() == 503
            await refused.closed()
            for peer in busy:
                peer.say(REQUEST[-1:])
                assert await peer.status() == 200
            assert await (await door.peer()).ask() == 200  # a silent one made room

    asyncio.run(run())


def test_who_just_spoke_is_not_sent_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path, Bounds(max_connections=1)) as door:
            first = await door.peer()
            assert await first.ask() == 200
            assert await (await door.peer()).ask() == 503
            assert await first.ask() == 200

    asyncio.run(run())


def test_a_new_grpc_connection_replaces_the_one_that_is_idle_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "_SILENT_S", 0.0)
    bounds = Bounds(max_connections=10, max_relayed=2)

    async def run() -> None:
        async with place(tmp_path, bounds, grpc=True) as door:
            peers = [await door.peer() for _ in range(3)]
            for peer in peers:
                peer.say(PREFACE + EMPTY_SETTINGS)
                await peer.heard()
            await peers[0].ended()
            assert await (await door.peer()).ask() == 200  # they take no room of HTTP
            peers[1].say(PING)
            await peers[1].heard()
            (fourth := await door.peer()).say(PREFACE + EMPTY_SETTINGS)
            await fourth.heard()
            await peers[2].ended()

    asyncio.run(run())


def test_a_header_that_comes_in_drips_is_not_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path, Bounds(idle_timeout_s=0.5)) as door:
            slow, silent, good = [await door.peer() for _ in range(3)]
            dripping = asyncio.create_task(drip(slow, HEADER + b"X-Drip: " + b"x" * 10_000))
            assert await good.ask() == 200
            await slow.closed()
            await silent.closed()
            await good.closed()  # it kept its connection for later, and later did not come
            dripping.cancel()

    asyncio.run(run())


def test_a_body_that_comes_in_drips_is_told_that_it_was_too_slow(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path, Bounds(body_timeout_s=0.5)) as door:
            slow, half, good = [await door.peer() for _ in range(3)]
            dripping = asyncio.create_task(drip(slow, HEADER + b"Content-Length: 10000\r\n\r\n" + bytes(10_000)))
            half.say(HEADER + b"Content-Length: 100\r\n\r\nabc")
            assert await good.ask() == 200
            assert [await slow.status(), await half.status()] == [408, 408]
            await half.closed()
            assert await good.ask() == 200
            dripping.cancel()

    asyncio.run(run())


async def drip(peer: Peer, data: bytes) -> None:
    for byte in data:
        peer.say(bytes([byte]))
        await asyncio.sleep(0.01)


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 4096:
        pytest.skip(f"no more than {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_two_and_a_half_thousand_connections_that_say_nothing_keep_nobody_out(store: Store, tmp_path: Path) -> None:
    ingest = Ingest(Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=0), store)
    ingest.start()
    try:
        address = httpx.URL(ingest.endpoint)
        with ExitStack() as stack:
            for number in range(2500):
                peer = stack.enter_context(socket.create_connection((address.host, address.port or 0), timeout=30))
                if number % 2:
                    peer.sendall(HEADER)
            trace_id = os.urandom(16)
            body = trace_request({}, trace_id=trace_id).SerializeToString()
            with httpx.Client(base_url=ingest.endpoint, headers={"Content-Type": "application/x-protobuf"}) as client:
                deadline = time.monotonic() + LATEST_S
                while client.post("/v1/traces", content=body, timeout=30).status_code != 200:  # all came just now
                    assert time.monotonic() < deadline
                assert client.post("/v1/traces", content=body, timeout=30).status_code == 200
        assert ingest.flush(30)
        assert ingest.health()["worker_restarts"] == 0
    finally:
        ingest.stop()


def test_the_log_of_a_malformed_request_shows_none_of_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With scrubbed logs, as a door worker has them: they hold the text of a traceback beside the exception."""
    monkeypatch.setattr(listener._MalformedRequests, "_EVERY_S", 0.0)
    factory = logging.getLogRecordFactory()
    private.scrub_logs()

    async def run() -> None:
        async with place(tmp_path, Bounds()) as door:
            peer = await door.peer()
            peer.say(b"GET / HTTP/1.1\r\nHost: a\r\nX-Password : opensesame\r\n\r\n")
            assert await peer.status() == 400

    try:
        asyncio.run(run())
    finally:
        logging.setLogRecordFactory(factory)
    assert "a malformed request was refused: BadHttpMessage" in caplog.text
    assert "opensesame" not in caplog.text
    assert "Traceback" not in caplog.text
