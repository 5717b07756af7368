"""How long it takes from the first byte at the door until spans stand in the books, of traffic as people send it.

A fixed number of spans is sent to a running `up` as fast as its door takes them; the clock stops when settlement has
posted the last of them. The bodies are made before.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from spanledger.bench import recorded, varied
from spanledger.bench.system import System
from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE
from spanledger.store.client import open_embedded

_CONNECTIONS = 3
_PER_REQUEST = 512  # spans
_POLL_S = 0.5
_TIMEOUT_S = 900.0
_WARM_SPANS = 3_000
SHAPES = ("recorded", "varied", "alike")

Bodies = Sequence[tuple[bytes, int]]


def measure(data_dir: Path, shape: str, spans: int, roles: str = "") -> dict[str, Any]:
    """The figures of one kind of traffic; `spans` is what is sent at least."""
    warm, bodies = list(_bodies(shape, _WARM_SPANS, 1)), list(_bodies(shape, spans, 2))
    with System(data_dir, roles=roles) as system:
        _arrive(system, warm)
        figures = _arrive(system, bodies)
    return figures | {"counted": _counted(data_dir, sum(count for _, count in (*warm, *bodies)))}


def _bodies(shape: str, spans: int, seed: int) -> Iterator[tuple[bytes, int]]:
    if shape == "recorded":
        return _batched(recorded.bodies(spans, None, seed))
    return _batched(varied.bodies(spans, seed)) if shape == "varied" else _alike(spans, seed)


def _batched(bodies: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """Requests of many spans, as a Collector sends them: what follows a message in protobuf is added to it. Recordings
    are of a few spans a request, and 900 requests a second are all that this sender does."""
    together: list[bytes] = []
    spans = 0
    for body, count in bodies:
        together.append(body)
        spans += count
        if spans >= _PER_REQUEST:
            yield b"".join(together), spans
            together, spans = [], 0
    if together:
        yield b"".join(together), spans


def _alike(spans: int, seed: int) -> Iterator[tuple[bytes, int]]:
    body = Body(random.Random(seed), _PER_REQUEST // SPANS_PER_TRACE)
    for _ in range(0, spans, body.spans):
        yield body.fresh(), body.spans


def _arrive(system: System, bodies: Bodies) -> dict[str, Any]:
    """Sends bodies and waits until their spans are in the books."""
    spans = sum(count for _, count in bodies)
    loaded_before, cpu = system.loaded(), system.cpu_seconds()
    started = time.monotonic()
    _send(system.endpoint("http"), bodies)
    acknowledged_s = time.monotonic() - started
    _wait(lambda: system.loaded() >= loaded_before + spans)
    loaded_s = time.monotonic() - started
    _wait(system.is_settled)
    settled_s = time.monotonic() - started
    spent = sum(seconds - cpu.get(role, 0.0) for role, seconds in system.cpu_seconds().items())
    return {
        "spans": spans,
        "bytes_per_span": round(sum(len(body) for body, _ in bodies) / spans),
        "in_the_books_per_s": round(spans / settled_s),
        "acknowledged_per_s": round(spans / acknowledged_s),
        "loaded_per_s": round(spans / loaded_s),
        "books_behind_loaded_s": round(settled_s - loaded_s, 1),
        "cpu_us_per_span": round(spent / spans * 1e6, 1),
    }


def _send(endpoint: str, bodies: Bodies) -> None:
    """Every body once, on a few connections. Raises httpx.HTTPError when one is refused."""
    failures: list[httpx.HTTPError] = []

    def run(mine: Bodies) -> None:
        with httpx.Client(base_url=endpoint, timeout=120) as door:
            for body, _ in mine:
                try:
                    answer = door.post("/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"})
                    answer.raise_for_status()
                except httpx.HTTPError as exc:
                    failures.append(exc)
                    return

    threads = [threading.Thread(target=run, args=(bodies[first::_CONNECTIONS],)) for first in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"spans were not in the books after {_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)


def _counted(data_dir: Path, accepted: int) -> dict[str, Any]:
    """Spans accepted, loaded and once in the books' table; calls and cost of the ledger and of a rollup."""
    store = open_embedded(data_dir)
    loaded = store.scalar("SELECT count() FROM otel_traces WHERE NOT startsWith(ServiceName, 'spanledger')")
    once = store.scalar("SELECT count() FROM genai_spans FINAL WHERE NOT startsWith(service, 'spanledger')")
    sums = "SELECT sum(llm_calls), toString(sum(cost_usd)) FROM "
    sides = [store.query(sums + table)[0] for table in ("ledger", "usage_1m")]
    store.close()
    return {"accepted": accepted, "loaded": loaded, "once": once, "books_equal": sides[0] == sides[1]}
