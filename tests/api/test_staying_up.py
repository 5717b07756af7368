"""A system with few open files against connections that say nothing or half of it: real processes, real sockets."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from otlp_make import trace_request
from system import WITHOUT_CHAT, System

FEW_FILES = 1024
SILENT = 1000
PROTOBUF = {"Content_Type": "application/x-protobuf"}
DRAINED_S = 40.0


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that may not open more files, however it asks."""
    running = System(tmp_path_factory.mktemp("poor") / "data", roles=WITHOUT_CHAT)
    running.prefix = ["prlimit", f"--nofile={FEW_FILES}:{FEW_FILES}"]
    running.start(SPANLEDGER_CANARY_INTERVAL_S="0")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()


def crowd(stack: ExitStack, port: int, count: int, says: bytes = b"") -> None:
    """Connections that stay open and say no more than `says`."""
    for _ in range(count):
        peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        if says:
            with suppress(OSError):  # it was sent away before it spoke
                peer.sendall(says)


def until(answers: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(OSError):
            if answers():
                return
        assert time.monotonic() < deadline, f"no answer in {timeout_s} s"


@pytest.mark.parametrize("says", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "])
def test_silent_connections_to_the_api_keep_nobody_out(poor: System, says: bytes) -> None:
    with ExitStack() as stack:
        crowd(stack, poor.port, SILENT, says)
        until(lambda: poor.request("GET", "/healthz")[0] == 200, 10)
        body = trace_request({}, trace_id=os.urandom(16)).SerializeToString()
        assert poor.request("POST", "/v1/traces", body, poor.otlp_port, **PROTOBUF)[0] == 200
        assert poor.request("GET", "/readyz")[0] == 200


def test_silent_connections_to_the_otlp_port_keep_nobody_out(poor: System) -> None:
    body = trace_request({}, trace_id=os.urandom(16)).SerializeToString()
    with ExitStack() as stack:
        crowd(stack, poor.otlp_port, SILENT)
        until(lambda: poor.request("POST", "/v1/traces", body, poor.otlp_port, **PROTOBUF)[0] == 200, 10)
        assert poor.request("GET", "/readyz")[0] == 200


def test_a_killed_worker_is_replaced_while_connections_hold_all_files(poor: System) -> None:
    """And `/readyz` does not count a worker that is gone."""
    body = trace_request({}, trace_id=os.urandom(16)).SerializeToString()
    with ExitStack() as stack:
        crowd(stack, poor.port, SILENT)
        for pid in workers_of(poor):
            os.kill(pid, signal.SIGKILL)
        until(lambda: poor.request("POST", "/v1/traces", body, poor.otlp_port, **PROTOBUF)[0] == 200, 20)
        until(lambda: poor.request("GET", "/readyz")[0] == 200, 10)


def workers_of(system: System) -> list[int]:
    assert system.process is not None
    children = Path(f"/proc/{system.process.pid}/task").glob("*/children")
    pids = [int(pid) for listed in children for pid in listed.read_text().split()]
    return [pid for pid in pids if b"spanledger.ingest.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


FRAMING = {
    "length and chunks": b"POST /v1/flush HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
    "one bare line feed": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/flush HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("port", ["port", "otlp_port"])
@pytest.mark.parametrize("name", FRAMING)
def test_requests_whose_end_is_ambiguous_are_refused(poor: System, name: str, port: str) -> None:
    raw = FRAMING[name] if port == "port" else FRAMING[name].replace(b"/healthz", b"/v1/traces")
    with socket.create_connection(("127.0.0.1", getattr(poor, port)), timeout=20) as peer:
        peer.sendall(raw)
        answer = peer.recv(65536)
        assert answer.split(b" ")[1] == b"400", answer
        while answer:  # and nothing after it on this connection is a request
            answer = peer.recv(65536)


def test_an_ambiguous_request_after_a_good_one_is_refused_too(poor: System) -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", poor.port), timeout=20) as peer:
        peer.sendall(good + FRAMING["one bare line feed"])
        answer = b""
        while part := peer.recv(65536):
            answer += part
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"400"]


def test_it_ends_within_its_drain_whatever_is_connected(poor: System) -> None:
    assert poor.process is not None
    with ExitStack() as stack:
        crowd(stack, poor.port, SILENT)
        crowd(stack, poor.otlp_port, 200)
        started = time.monotonic()
        poor.process.send_signal(signal.SIGTERM)
        assert poor.process.wait(DRAINED_S) in {0, 1}  # 1: cut short at the end of its time, on a busy machine
        assert time.monotonic() - started < DRAINED_S
    assert poor.stderr().count("Too many open files") < 5
