"""Whatever is sent to whatever route, others are served meanwhile: `/healthz` beside the worst body of each."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from system import System

BOUND_S = 0.75  # 0.25 s by itself; and machines that run tests are shared, so what it takes beside nothing is added
HELD_UP = re.compile(r"held up for (\d+) ms.*")  # what the watchdog logs
WORST: dict[str, bytes] = {
    "many objects": b'{"messages":[' + b",".join([b'{"role":"user","content":"a"}'] * 60_000) + b"]}",
    "many tools": json.dumps(
        {
            "messages": [{"role": "user", "content": "a"}],
            "tools": [{"type": "function", "function": {"name": f"t{number}"}} for number in range(10_000)],
        }
    ).encode(),
    "many parts": b'{"messages":[{"role":"user","content":['
    + b",".join([b'{"type":"text","text":"a"}'] * 60_000)
    + b"]}]}",
    "a long text": json.dumps(
        {"content": "a" * 500_000, "messages": [{"role": "user", "content": "a" * 500_000}], "input": "a" * 500_000}
    ).encode(),
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "many keys": b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "many wrong tokens": b'{"input":[' + b",".join([b"-1"] * 200_000) + b"]}",
    "many wrong lists": b'{"input":[' + b",".join([b"[-1]"] * 100_000) + b"]}",
    "names up to the limit": b"{" + b",".join(b'"k%d":1' % number for number in range(29_000)) + b"}",
    "a long number": b'{"n":' + b"9" * 1_000_000 + b"}",
    "not JSON": b"[" * 1_000_000,
}


@pytest.fixture(scope="module")
def routes(system: System) -> list[str]:
    """The paths that take a POST, from OpenAPI: a new route is among them by itself."""
    paths: dict[str, Any] = system.request("GET", "/openapi.json")[2]["paths"]
    assert len(paths) > 20
    return [
        re.sub(r"\{[^}]*\}", "x", path) for path, methods in paths.items() if "requestBody" in methods.get("post", {})
    ]


class Beside:
    """Asks `/healthz` all the time; `worst` is the longest that an answer took."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.worst, self.asked = 0.0, 0

    @contextlib.contextmanager
    def watching(self) -> Iterator["Beside"]:
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.02):
                started = time.monotonic()
                assert self._system.request("GET", "/healthz")[0] == 200
                self.worst, self.asked = max(self.worst, time.monotonic() - started), self.asked + 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("name", WORST)
def test_others_are_served_while_the_worst_body_is_read(system: System, routes: list[str], name: str) -> None:
    found = {}
    with Beside(system).watching() as idle:
        time.sleep(1.0)  # how long an answer takes on this machine beside nothing
    bound, before = BOUND_S + 8 * idle.worst, len(system.stderr())
    with Beside(system).watching() as beside:
        for path in routes:
            status = system.request("POST", path, WORST[name], Content_Type="application/json")[0]
            found[path] = (status, round(beside.worst, 2))
            assert status < 500 or status in {502, 503}, (path, status)
    assert beside.asked > 0
    assert beside.worst < bound, (bound, found)
    held = [(int(line[1]), line[0]) for line in HELD_UP.finditer(system.stderr(), before)]
    assert max(held, default=(0, ""))[0] < bound * 1000, held


def test_the_watchdog_says_what_held_up_the_loop() -> None:
    """In a process of its own loop: what sleeps on the loop is named."""
    import asyncio
    import logging

    from spanledger.runtime import stalls

    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(stalls.__name__).addHandler(handler)

    async def run() -> stalls.Stalls:
        watch = stalls.Stalls()
        watch.start()
        await asyncio.sleep(0.1)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            pass
        await asyncio.sleep(0.1)
        watch.stop()
        return watch

    watch = asyncio.run(run())
    logging.getLogger(stalls.__name__).removeHandler(handler)
    assert watch.count >= 1
    assert watch.longest_s >= 0.5
    assert any("the event loop was held up for" in text for text in records)
