"""How long the console's pages take over much history: to the first byte, and in Chromium until they can be used.

The second part needs Chromium and the development package `playwright`; without them it is left out.
"""

import importlib
import importlib.util
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spanledger.bench import history
from spanledger.bench.ingest import percentiles
from spanledger.bench.system import System
from spanledger.store.client import open_embedded

_DAYS = 30
_LONGEST_S = 20.0  # of one page's repetitions
_BROWSER = "chromium"
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


def run(spans: int = 4_000_000, times: int = 40) -> dict[str, Any]:
    """Milliseconds of each page, asked `times` times with other ids each."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    messages = spans // history.SPANS_PER_MESSAGE
    try:
        _say(f"making {spans} spans of {messages} messages")
        store = open_embedded(folder)
        history.make(store, messages, _DAYS)
        store.close()
        with System(folder) as system:
            _say("asking")
            first_byte = {name: _first_byte(system, name, messages, times) for name in _PAGES}
            usable = _usable(str(system.client.base_url), messages, times)
        load = round(os.getloadavg()[0], 1)
        return {"spans": spans, "load_1m": load, "first_byte_ms": first_byte, "usable_ms": usable}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(text: str) -> None:
    print(f"bench web: {text}", file=sys.stderr, flush=True)


_PAGES: dict[str, Callable[[random.Random, int], str]] = {
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


def _first_byte(system: System, name: str, messages: int, times: int) -> dict[str, float]:
    rng = random.Random(7)
    took: list[float] = []
    began = time.monotonic()
    while len(took) < times and time.monotonic() - began < _LONGEST_S:
        started = time.perf_counter()
        with system.client.stream("GET", _PAGES[name](rng, messages)) as answer:
            answer.raise_for_status()
            next(answer.iter_raw())
            took.append((time.perf_counter() - started) * 1000)
    return percentiles(took)


def _usable(base: str, messages: int, times: int) -> dict[str, dict[str, float]]:
    """Until a browser has drawn the page and run its scripts; empty without one."""
    path = shutil.which(_BROWSER)
    if path is None or importlib.util.find_spec("playwright") is None:
        _say("no browser: only first bytes are measured")
        return {}
    playwright = importlib.import_module("playwright.sync_api").sync_playwright
    found: dict[str, dict[str, float]] = {}
    with playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=_FLAGS)
        page = browser.new_page()
        for name, path_of in _PAGES.items():
            rng, began = random.Random(11), time.monotonic()
            took: list[float] = []
            while len(took) < times and time.monotonic() - began < _LONGEST_S:
                page.goto(base.rstrip("/") + path_of(rng, messages))
                took.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
            found[name] = percentiles(took)
        browser.close()
    return found
