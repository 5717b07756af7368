"""How many events per second the bus takes, and how soon 200 readers of GET /v1/events have each of them.

Three processes: one emits runs of a workflow as spans (the real emission, processor, bus, API and HTTP server), one
reads with 200 connections, and the one that asks compares what both saw. Every reader wants everything; what it got is
compared event by event, in order, with what was emitted.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from spanledger.bench.overhead import Receiver

EVENTS_PER_RUN = 6
_FRAME = re.compile(rb"id: (\d+)\.\d+\.[0-9a-f]*~[^\n]*\ndata: [^\n]*\n\n")
_LAST = b'"conversation_id":"the-last"'


def run(readers: int = 200, rate: int = 1_000, seconds: float = 10.0) -> dict[str, Any]:
    """JSON-ready figures. `rate`: events per second."""
    return {"bus": _bus(), "stream": _stream(readers, rate, seconds)}


def _bus(events: int = 100_000) -> dict[str, Any]:
    """One thread publishes, one reader takes everything as it would be sent."""
    return asyncio.run(_through_the_bus(events))


async def _through_the_bus(count: int) -> dict[str, Any]:
    from spanledger.live import Filter, Live
    from spanledger.live.event import Event

    live, facts = Live("bench"), {"workflow": "bench", "span_id": "0123456789abcdef"}
    now = time.time_ns()
    spent: list[int] = []

    def publish() -> None:
        started = time.thread_time_ns()
        for number in range(count):
            live.bus.publish(Event("node_started", now + number, "s", "default", "t", "c", "u", lambda: facts))
            if number % 512 == 511:
                time.sleep(0)  # lets the reader have the interpreter
                while live.bus.head - place[0] > 8_192:
                    time.sleep(0.0005)
        spent.append(time.thread_time_ns() - started)

    place, received = [0], 0
    stream = live.stream(Filter("default"), None)
    await anext(stream)
    cpu, started = time.process_time_ns(), time.perf_counter()
    thread = threading.Thread(target=publish)
    thread.start()
    async for piece in stream:
        received += piece.count(b"\n\n")
        place[0] = received
        if received >= count:
            break
    took = time.perf_counter() - started
    thread.join()
    await stream.aclose()
    return {
        "events": count,
        "events_per_s": round(count / took),
        "publish_cpu_us": round(spent[0] / count / 1000, 2),
        "cpu_us": round((time.process_time_ns() - cpu) / count / 1000, 2),
    }


def _stream(readers: int, rate: int, seconds: float) -> dict[str, Any]:
    with Receiver() as endpoint, tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        server = _child("serve", endpoint, folder)
        try:
            port = int(_line(server))
            reader = _child("read", str(port), str(readers))
            assert _line(reader) == "connected"
            _tell(server, f"{rate} {seconds}")
            emitted = json.loads(_line(server))
            read = json.loads(_line(reader))
        finally:
            server.kill()
            server.wait()
    whole = sum(digest == emitted["digest"] for digest in read["digests"])
    return {
        "readers": readers,
        "events": emitted["events"],
        "events_per_s": round(emitted["events"] / emitted["seconds"]),
        "deliveries_per_s": round(read["deliveries"] / emitted["seconds"]),
        "readers_with_every_event_in_order": whole,
        "delivery_ms": read["delivery_ms"],
        "server_cpu_us_per_delivery": round(emitted["cpu_s"] * 1e6 / max(1, read["deliveries"]), 2),
        "server_cpu_share": round(emitted["cpu_s"] / emitted["seconds"], 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _child(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "spanledger.bench.streaming", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


async def _serve(endpoint: str, folder: str) -> None:
    """The API with a live stream; emits as many events as it is sent."""
    import uvicorn

    from spanledger import telemetry
    from spanledger.api.app import create_app
    from spanledger.live import Live
    from spanledger.pricing import load_book
    from spanledger.runtime.services import Services
    from spanledger.settings import Settings
    from spanledger.workflows import Runner

    settings = Settings(data_dir=Path(folder))
    emission, live = telemetry.start(endpoint), Live("spanledger")
    emission.listen(live.hearing)
    app = create_app(Services(settings, emission, Runner(settings, emission, load_book()), live=live))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve([listener]))
        print(listener.getsockname()[1], flush=True)
        rate, seconds = (await asyncio.to_thread(sys.stdin.readline)).split()
        first, cpu, started = live.bus.head, time.process_time(), time.perf_counter()
        digest = hashlib.sha256()
        await asyncio.to_thread(_emit, emission, live, float(rate), float(seconds), digest)
        took = time.perf_counter() - started
        await asyncio.sleep(1.0)  # the readers' last pieces are part of the work
        figures = {
            "events": live.bus.head - first,
            "seconds": took,
            "cpu_s": time.process_time() - cpu,
            "digest": digest.hexdigest(),
        }
        print(json.dumps(figures), flush=True)
        await serving


def _emit(emission: Any, live: Any, rate: float, seconds: float, digest: Any) -> None:
    """Runs of a workflow, evenly spread, and one that the readers know as the last."""
    place, started = live.bus.head, time.perf_counter()
    total = int(rate * seconds / EVENTS_PER_RUN)
    for number in range(total + 1):
        ahead = number * EVENTS_PER_RUN / rate - (time.perf_counter() - started)
        if ahead > 0:
            time.sleep(ahead)
        _one_run(emission, f"run-{number}" if number < total else "the-last")
        head = live.bus.head
        for event in live.bus.between(place, head):
            digest.update(b"%d\n" % event.at_ns)
        place = head


def _one_run(emission: Any, conversation: str) -> None:
    from spanledger.pricing import Usage
    from spanledger.telemetry import GenAI, InferenceRequest, InferenceResult, ids, semconv

    genai = GenAI(emission) if not hasattr(emission, "bench") else emission.bench
    emission.bench = genai
    with ids.carry(conversation_id=conversation, message_id=conversation, user_id="bench", workflow="bench"):
        node = {semconv.NODE_NAME: "model"}
        with (
            genai.workflow("bench"),
            emission.tracer("bench").start_as_current_span("model", attributes=node),
            genai.inference(InferenceRequest("offline", "small")) as call,
        ):
            call.answer(InferenceResult(Usage(input_tokens=20, output_tokens=5), model="small"))


def _read(port: int, count: int) -> None:
    """Reads with `count` connections until each has had the last run's end."""
    poll = selectors.DefaultSelector()
    readers = [_Reader(port) for _ in range(count)]
    for reader in readers:
        poll.register(reader.socket, selectors.EVENT_READ, reader)
    print("connected", flush=True)
    open_ = count
    while open_:
        for key, _ in poll.select(60):
            if key.data.take(time.time_ns()):
                poll.unregister(key.fileobj)
                open_ -= 1
    late: list[float] = []
    digests = [reader.digest(late) for reader in readers]
    cuts = statistics.quantiles(late, n=1000)
    shown = {"p50": cuts[499], "p95": cuts[949], "p99": cuts[989], "worst": max(late)}
    figures = {
        "digests": digests,
        "deliveries": len(late),
        "delivery_ms": {name: round(value, 1) for name, value in shown.items()},
    }
    print(json.dumps(figures), flush=True)


class _Reader:
    """One connection, and when each piece of its stream came."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self._pieces: list[bytes] = []
        self._ends: list[int] = []
        self._times: list[int] = []
        self._size = 0
        while b"retry:" not in self.socket.recv(65_536):
            pass
        self.socket.setblocking(False)

    def take(self, now_ns: int) -> bool:
        """Reads what is there; whether that was the last."""
        piece = self.socket.recv(1 << 20)
        self._size += len(piece)
        self._pieces.append(piece)
        self._ends.append(self._size)
        self._times.append(now_ns)
        return not piece or (_LAST in piece and b"workflow_completed" in piece.rpartition(_LAST)[0][-400:])

    def digest(self, late: list[float]) -> str:
        """What was read, in order, hashed as it was when it was emitted; adds each delivery's ms to `late`."""
        digest = hashlib.sha256()
        for frame in _FRAME.finditer(b"".join(self._pieces)):
            at = frame[1]
            digest.update(at + b"\n")
            late.append((self._times[bisect_left(self._ends, frame.end())] - int(at)) / 1e6)
        return digest.hexdigest()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("serve", "read", "run"))
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.part == "serve":
        asyncio.run(_serve(*options.arguments))
    elif options.part == "read":
        _read(*(int(number) for number in options.arguments))
    else:
        print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    _main()
