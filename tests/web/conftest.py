"""A real Chromium before a running system. Each tenant of these tests logs in with a key of its own."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from guarded import Caller
from spanledger.workflows import demo
from system import System
from tenants import own_tenant

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_MS = 60_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"needs one of {', '.join(_BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield running
        running.close()


@dataclass
class Visitor:
    """One browser window of one tenant. `problems`: what must not happen on any page."""

    caller: Caller
    page: Any
    problems: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.caller.system.port}"

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)

    def login(self) -> None:
        self.page.goto(f"{self.base}/login")
        self.page.fill("#key", self.caller.key)
        self.page.click("main button")
        self.page.wait_for_url(f"{self.base}/")

    def see(self, path: str, status: int = 200) -> Any:
        """The page at a path, loaded."""
        answer = self.page.goto(self.base + path)
        assert answer.status == status, (path, answer.status)
        return self.page

    def figures(self, selector: str = "main") -> list[tuple[str, str, str]]:
        """Field, text and link of every figure inside."""
        found = self.page.eval_on_selector_all(
            f"{selector} [data-figure]",
            "all => all.map(one => [one.dataset.figure, one.dataset.value, one.closest('a')?.getAttribute('href')])",
        )
        return [(one[0], one[1], one[2]) for one in found]

    def row(self, identity: str) -> dict[str, str]:
        """The figures of a row by its data-id."""
        return {name: value for name, value, _ in self.figures(f"[data-id={json.dumps(identity)}]")}

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text}")

    def _failed(self, request: Any) -> None:
        if "/v1/events" not in request.url:  # a stream ends with its page
            self.problems.append(f"failed: {request.url}")


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
        system.post("/v1/flush", {})
        yield caller


def asked(href: str) -> dict[str, str]:
    """The parameters of a link."""
    return dict(parse_qsl(urlsplit(href).query))
