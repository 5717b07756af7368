"""What every stop of the tour needs: a way to ask, and the proof that it brings home."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from spanledger.client import Api

TIMEOUT_S = 60.0
Importer = Callable[[str, Path, Api], object]  # kind of file, the file, the system that it goes into
_FLUSH = "POST /v1/flush"  # the tour's own impatience


@dataclass
class Proof:
    """`answers`: pairs of a request and the relevant part of its answer. `spans`: names, in order of their start."""

    answers: list[tuple[str, str]] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)  # what it caused under another correlation id

    def add(self, request: str, **shown: Any) -> None:
        self.answers.append((request, ", ".join(f"{name} {_short(value)}" for name, value in shown.items())))

    def check(self, holds: bool, what: str) -> None:
        """Notes a failure, so that the tour can say so and go on."""
        if not holds:
            self.failures.append(what)


class Tourist:
    """Asks the API under a correlation id of its own, by which everything that it caused is found again."""

    def __init__(self, api: Api, stop: str, import_history: Importer) -> None:
        self.name = f"{stop}-{secrets.token_hex(3)}"  # a tour may be made again on the same data
        self.correlation_id = f"tour-{self.name}"
        self.api = Api(api.url, api.otlp_url, api.token, self.correlation_id)
        self.proof = Proof()
        self.import_history = import_history
        self._put: dict[str, bytes | None] = {}  # path → what to put back; None: to delete

    def get(self, path: str, **params: Any) -> Any:
        return self.api.get(path, **params)

    def post(self, path: str, body: Any) -> Any:
        answer = self.api.post(path, body)
        if path == "/v1/documents":
            self._put[f"{path}/{answer['document_id']}"] = None
        return answer

    def put(self, path: str, body: Any, before: Any = None) -> Any:
        """`before`: what to put back at the end; without it, what was put is deleted."""
        self._put.setdefault(path, None if before is None else json.dumps(before).encode())
        return json.loads(self.api.send("PUT", path, json.dumps(body).encode()))

    def delete(self, path: str) -> None:
        self._put.pop(path, None)
        self.api.send("DELETE", path)

    def tidy(self) -> None:
        """Removes what the tour set up; its messages stay in the books."""
        while self._put:
            path, before = self._put.popitem()
            self.api.send("DELETE" if before is None else "PUT", path, before)

    def status(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and body of a POST that may be refused."""
        parts = urlsplit(self.api.url)
        connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/json", "X-Correlation-ID": self.correlation_id}
        headers |= {"Authorization": f"Bearer {self.api.token}"} if self.api.token else {}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def say(self, content: str, *, conversation: str = "", user: str = "", **more: Any) -> Any:
        """A message to a conversation, by default to the stop's own; the reply."""
        where = quote(conversation or self.name, safe="")
        return self.post(
            f"/v1/conversations/{where}/messages", {"content": content, "user_id": user or f"user-{self.name}", **more}
        )

    def settle(self) -> None:
        """Everything so far is in the books."""
        self.api.post("/v1/flush", {})

    def until(self, ask: Callable[[], Any], done: Callable[[Any], bool], what: str) -> Any:
        """Asks until it is so; each time after everything has been settled."""
        found = None
        for _ in range(60):
            self.settle()
            found = ask()
            if done(found):
                return found
        self.proof.check(False, f"{what}: {_short(found)}")
        return found

    def gather_spans(self) -> None:
        """Names of all spans that this stop caused."""
        self.settle()
        found = self.api.get("/v1/correlations", self.correlation_id)["spans"]
        for trace_id in self.proof.traces:
            found += self.api.get("/v1/traces", trace_id)["spans"]
        names = [span["name"] for span in sorted(found, key=lambda span: span["started_at"])]
        self.proof.spans = [name for name in dict.fromkeys(names) if name != _FLUSH]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "…"
