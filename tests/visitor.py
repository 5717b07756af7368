"""A browser window of one tenant before the console."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guarded import Caller


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
        if request.failure != "net::ERR_ABORTED":  # what a page that was left had not read yet
            self.problems.append(f"failed: {request.url}")


def asked(href: str) -> dict[str, str]:
    """The parameters of a link."""
    return dict(parse_qsl(urlsplit(href).query))
