"""How long the console's pages take over much history: to the first byte, and in Chromium until they can be used.

The second part needs Chromium and the development package `playwright`; without them it is left out.
"""

import importlib
import importlib.util
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.bench import history, query, steps, workload
from spanledger.bench.ingest import percentiles
from spanledger.bench.system import System

Address = Callable[[random.Random, int], str]  # of a page, among so many messages

_ROLES = "ingest,settle,api"
_LONG = 10_000
_CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
_LONGEST_S = 20.0  # of one page's repetitions
_BROWSER = "chromium"
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


def run(spans: int = 4_000_000, times: int = 40) -> dict[str, Any]:
    """Milliseconds of each page, loaded up to `times` times with other ids each."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    try:
        query.make(folder, spans)
        return measure(folder, spans, times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, spans: int, times: int) -> dict[str, Any]:
    """Asks an `up` on a folder of `query.make`. `cpu`: milliseconds of CPU of all its processes for one page."""
    messages = spans // history.SPANS_PER_MESSAGE
    with System(folder, roles=_ROLES) as system:
        long_trace = _send_long_trace(system)
        pages = {**_PAGES, f"trace of {_LONG:,} spans": lambda rng, messages: f"/traces/{long_trace}"}
        turns = steps.counted("first bytes", pages.items(), "pages")
        first_byte = {name: _first_byte(system, name, page, messages, times) for name, page in turns}
        usable = _usable(system, pages, messages, times)
    load = round(os.getloadavg()[0], 1)
    return {"spans": spans, "load_1m": load, "first_byte_ms": first_byte, "usable_ms": usable}


def _say(text: str) -> None:
    steps.note(f"bench web: {text}")


def _send_long_trace(system: System) -> str:
    """The id of a trace of 10,000 spans under one root, every tenth a call, once it is in the books."""
    trace, root, now = os.urandom(16), os.urandom(8), time.time_ns()
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(_LONG):
        span = scope.spans.add(trace_id=trace, span_id=os.urandom(8) if number else root, name=f"step {number}")
        span.start_time_unix_nano, span.end_time_unix_nano = now + number * 1_000, now + _LONG * 1_000
        if number:
            span.parent_span_id = root
        if number % 10 == 1:
            workload.fill(span.attributes, _CALL)
    body = request.SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    system.client.post(f"{system.endpoint('http')}/v1/traces", content=body, headers=headers).raise_for_status()
    system.client.post("/v1/flush").raise_for_status()
    return trace.hex()


_PAGES: dict[str, Address] = {
    "home": lambda rng, messages: "/",
    "messages": lambda rng, messages: "/messages",
    "messages of a user": lambda rng, messages: f"/messages?range=30d&user=u{rng.randrange(history.USERS)}",
    "trace": lambda rng, messages: f"/traces/{history.trace_of(rng.randrange(messages))}",
    "conversation": lambda rng, messages: (
        f"/conversations/c{rng.randrange(messages // history.MESSAGES_PER_CONVERSATION)}"
    ),
    "explain": lambda rng, messages: f"/explain?message=m{rng.randrange(messages)}",
    "users": lambda rng, messages: "/users",
    "user": lambda rng, messages: f"/users/u{rng.randrange(history.USERS)}",
    "costs": lambda rng, messages: "/costs?by=model&and=workflow",
    "books": lambda rng, messages: "/books",
}


def _first_byte(system: System, name: str, page: Address, messages: int, times: int) -> dict[str, float]:
    rng = random.Random(7)
    took: list[float] = []
    used = sum(system.cpu_seconds().values())
    began = time.monotonic()
    while len(took) < times and time.monotonic() - began < _LONGEST_S:
        started = time.perf_counter()
        with system.client.stream("GET", page(rng, messages)) as answer:
            answer.raise_for_status()
            pieces = answer.iter_raw()
            next(pieces)
            took.append((time.perf_counter() - started) * 1000)
            for _ in pieces:  # the rest is read, so that the connection is free again
                pass
    used = sum(system.cpu_seconds().values()) - used
    found = percentiles(took) | {"cpu": round(used * 1000 / len(took), 1)}
    _say(f"first byte of {name}: {found}")
    return found


def _usable(system: System, pages: dict[str, Address], messages: int, times: int) -> dict[str, dict[str, float]]:
    """Until a browser has drawn the page and run its scripts; empty without one. The next page is opened when the one
    before has loaded all its parts."""
    path = shutil.which(_BROWSER)
    if path is None or importlib.util.find_spec("playwright") is None:
        _say("no browser: only first bytes are measured")
        return {}
    playwright = importlib.import_module("playwright.sync_api").sync_playwright
    base = str(system.client.base_url).rstrip("/")
    found: dict[str, dict[str, float]] = {}
    with playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=_FLAGS)
        page = browser.new_page()
        page.goto(base + "/keys")  # scripts and styles are loaded: the first load is measured by size
        for name, address in steps.counted("until usable", pages.items(), "pages"):
            rng, began = random.Random(11), time.monotonic()
            took: list[float] = []
            while len(took) < times and time.monotonic() - began < _LONGEST_S:
                page.goto(base + address(rng, messages))
                took.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
                page.wait_for_load_state("networkidle")  # a reader looks at a page before the next one
            found[name] = percentiles(took)
            _say(f"usable, {name}: {found[name]}")
        browser.close()
    return found
