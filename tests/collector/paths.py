"""Two paths side by side: application → Collector → ClickHouse server, settled there, and the embedded door.

`python tests/collector/paths.py [--spans 100000]` sends the same spans through both, one path after the other, and
prints JSON: seconds until all were accepted and until all stood in the ledger, and CPU µs per span of every process.
Needs `make collector`.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from otlp_make import trace_request
from real_collector import Collector
from real_server import Server
from spanledger.store import migrate
from spanledger.store.client import open_server
from system import System

PER_REQUEST = 200
SENDERS = 3
TIMEOUT_S = 600.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    asked = parser.parse_args()
    bodies = list(_bodies(asked.spans))
    size = sum(map(len, bodies)) / asked.spans
    with tempfile.TemporaryDirectory(prefix="spanledger-paths-") as folder:
        result = {
            "machine": f"{os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}",
            "spans": asked.spans,
            "bytes_per_span": round(size),
            "collector": _through_collector(Path(folder), bodies, asked.spans),
            "embedded": _through_the_door(Path(folder), bodies, asked.spans),
        }
    print(json.dumps(result, indent=2))


def _bodies(count: int) -> Iterator[bytes]:
    """LLM calls of 15 attributes, each a trace of its own in one of a thousand conversations."""
    for first in range(0, count, PER_REQUEST):
        spans = []
        for number in range(first, min(first + PER_REQUEST, count)):
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.response.id": f"chatcmpl-{number:012d}",
                "gen_ai.conversation.id": f"conversation-{number % 1000}",
                "gen_ai.usage.input_tokens": 900 + number % 100,
                "gen_ai.usage.output_tokens": 100 + number % 50,
                "gen_ai.request.temperature": 0.7,
                "gen_ai.request.max_tokens": 1024,
                "gen_ai.response.finish_reasons": ["stop"],
                "user.id": f"user-{number % 200}",
                "server.address": "api.openai.com",
                "server.port": 443,
                "gen_ai.workflow.name": "support",
            }
            spans.append({"name": "chat gpt-4o", "trace_id": os.urandom(16), "attributes": attributes})
        yield trace_request(*spans).SerializeToString()


def _through_collector(folder: Path, bodies: list[bytes], spans: int) -> dict[str, Any]:
    server = Server(folder / "server").start()
    books = server.open()
    migrate.migrate(books)
    collector = Collector(folder / "collector", server).start()
    settler = System(folder / "settler", clickhouse_url=server.url("app"), roles="settle").start()
    store = open_server(server.url())
    processes = {"collector": collector.process, "server": server.process, "settlement": settler.process}
    pids = {name: process.pid for name, process in processes.items() if process is not None}
    try:
        return _measured(
            pids,
            spans,
            bodies,
            lambda body: collector.send("traces", "application/x-protobuf", body),
            lambda: int(store.scalar("SELECT sum(llm_calls) FROM ledger") or 0),
        )
    finally:
        store.close()
        books.close()
        settler.stop()
        collector.stop()
        server.stop()


def _through_the_door(folder: Path, bodies: list[bytes], spans: int) -> dict[str, Any]:
    system = System(folder / "embedded").start()
    assert system.process is not None
    # Once answered, nothing of the chat service is still being loaded beside the measurement.
    system.post("/v1/conversations/before/messages", {"content": "hello"})
    system.flush()

    def send(body: bytes) -> int:
        return system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type="application/x-protobuf")[0]

    def booked() -> int:
        calls: int = system.get("usage", provider="openai")["usage"]["llm_calls"]
        return calls

    try:
        return _measured({"up": system.process.pid}, spans, bodies, send, booked)
    finally:
        system.stop()


def _measured(
    pids: dict[str, int], spans: int, bodies: list[bytes], send: Callable[[bytes], int], booked: Callable[[], int]
) -> dict[str, Any]:
    before = {name: _cpu_s(pid) for name, pid in pids.items()}
    started = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        assert set(senders.map(send, bodies)) == {200}
    accepted_s = time.monotonic() - started
    while (found := booked()) < spans:
        assert time.monotonic() - started < TIMEOUT_S, f"{found} of {spans} spans are booked"
        time.sleep(0.25)
    booked_s = time.monotonic() - started
    assert found == spans, f"{found} of {spans} spans are booked"
    used = {name: round((_cpu_s(pid) - before[name]) / spans * 1e6, 1) for name, pid in pids.items()}
    return {
        "accepted_s": round(accepted_s, 2),
        "booked_s": round(booked_s, 2),
        "spans_per_s": round(spans / booked_s),
        "cpu_us_per_span": {**used, "all": round(sum(used.values()), 1)},
    }


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S + sum(_cpu_s(int(child)) for child in children)


if __name__ == "__main__":
    main()
