"""A real Chromium before a running system. Each tenant of these tests logs in with a key of its own."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from guarded import Caller
from spanledger.workflows import demo
from system import System
from tenants import own_tenant
from visitor import Visitor

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one file of tests: while Playwright runs, no other test of this process can have an event loop."""
    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"needs one of {', '.join(_BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visitor]]:
    """Opens a window for a caller, logged in; at the end none of its pages may have had a problem."""
    opened: list[Visitor] = []

    def _visit(caller: Caller, login: bool = True, **options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(TIMEOUT_MS)
        visitor = Visitor(caller, context.new_page())
        visitor.watch()
        if login:
            visitor.login()
        opened.append(visitor)
        return visitor

    yield _visit
    problems = [problem for visitor in opened for problem in visitor.problems]
    for visitor in opened:
        visitor.page.context.close()
    assert problems == []


@pytest.fixture(scope="session")
def shop(system: System) -> Iterator[Caller]:
    """A tenant with the demo's conversations in its books."""
    with own_tenant(system) as caller:
        with ThreadPoolExecutor(1) as aside:  # Playwright has an event loop on this thread
            aside.submit(lambda: asyncio.run(demo.run(f"http://127.0.0.1:{system.port}", caller.key))).result()
        system.flush()
        yield caller
