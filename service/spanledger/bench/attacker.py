"""The attacking tenant of `bench attack`, in its own process.

`python -m spanledger.bench.attacker '<Plan as JSON>'` prints a line when it begins, and at the end what was answered,
by kind of attack, as JSON.
"""

import gzip
import json
import random
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

KINDS = (
    *("empty spans", "zeros", "deep JSON", "many attributes", "huge numbers"),
    *("broken protobuf", "silent connections", "half a body", "heavy SQL", "many tools"),
    *("long texts", "many parts", "patterns", "exports", "facets"),
    *("audits", "events"),
)  # each a method of _Attack
_EMPTY_SPANS = 500_000
_DEPTH = 100_000
_MEMBERS = 100_000
_SILENT = 300  # connections that stay open at once
_TIMEOUT_S = 60.0
_FIELDS = ("model", "user", "conversation", "tool", "status", "error_type", "provider", "workflow")
_PROTOBUF = {"Content-Type": "application/x-protobuf"}
_JSON = {"Content-Type": "application/json"}
_SLOW_SQL = (
    "SELECT sum(editDistance(repeat(toString(number % 7), 60000), repeat('b', 60000))) FROM numbers(500)",
    "SELECT count() FROM numbers(100000000) AS a CROSS JOIN numbers(100000000) AS b",
    "SELECT groupArray(repeat('x', 1000000)) FROM numbers(100000)",
    "SELECT t FROM (SELECT throwIf(tenant != 'evil', text) AS t FROM document_chunks)",
)


@dataclass(frozen=True)
class Plan:
    """`key`: an admin's of a tenant of its own. `api`, `otlp`: addresses; `threads` attack at once. `kind`: one of
    KINDS, all of them by default."""

    api: str
    otlp: str
    key: str
    seconds: float
    threads: int = 4
    kind: str = ""


class _Attack:
    """One thread's connections. Each method is one attack, and says how it was answered."""

    def __init__(self, plan: Plan) -> None:
        self._rng = random.Random()
        says = {"Authorization": f"Bearer {plan.key}"}
        self._api = httpx.Client(base_url=plan.api, headers=says, timeout=_TIMEOUT_S)
        self._otlp = httpx.Client(base_url=plan.otlp, headers=says, timeout=_TIMEOUT_S)
        self._places = [urlsplit(plan.api), urlsplit(plan.otlp)]
        self._open: list[socket.socket] = []

    def act(self, kind: str) -> str:
        """How an attack of this kind was answered."""
        answer: str = getattr(self, kind.replace(" ", "_").lower())()
        return answer

    def empty_spans(self) -> str:
        spans = b"\x12\x00" * _EMPTY_SPANS  # ScopeSpans.spans, each empty
        scope = b"\x12" + _length(len(spans)) + spans
        return self._send(b"\x0a" + _length(len(scope)) + scope, _PROTOBUF)

    def zeros(self) -> str:
        return self._send(b"\0" * 50_000_000, _PROTOBUF)

    def deep_json(self) -> str:
        return self._send(b'{"resourceSpans":' * _DEPTH + b"1" + b"}" * _DEPTH, _JSON)

    def many_attributes(self) -> str:
        attributes = [{"key": f"k{number}", "value": {"stringValue": "v"}} for number in range(_MEMBERS)]
        return self._send(_span_json({"attributes": attributes}), _JSON)

    def huge_numbers(self) -> str:
        digits = "9" * self._rng.randrange(1, 100_000)
        usage = {"key": "gen_ai.usage.input_tokens", "value": {"intValue": digits}}
        cost = {"key": "gen_ai.usage.cost", "value": {"stringValue": "1e3000000"}}
        return self._send(_span_json({"attributes": [usage, cost]}), _JSON)

    def broken_protobuf(self) -> str:
        return self._send(self._rng.randbytes(self._rng.randrange(1, 100_000)), _PROTOBUF)

    def silent_connections(self) -> str:
        place = self._rng.choice(self._places)
        with suppress(OSError):
            self._open.append(socket.create_connection((place.hostname or "", place.port or 80), timeout=5))
        while len(self._open) > _SILENT:
            self._open.pop(0).close()
        return "opened"

    def half_a_body(self) -> str:
        place = self._rng.choice(self._places)
        with suppress(OSError):
            peer = socket.create_connection((place.hostname or "", place.port or 80), timeout=5)
            peer.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nhalf")
            self._open.append(peer)
        return "opened"

    def heavy_sql(self) -> str:
        return self._ask("/v1/sql", {"query": self._rng.choice(_SLOW_SQL)})

    def many_tools(self) -> str:
        tools = [{"type": "function", "function": {"name": f"t{number}"}} for number in range(10_000)]
        return self._ask("/v1/chat/completions", {"model": "offline/small", "messages": _HELLO, "tools": tools})

    def long_texts(self) -> str:
        return self._ask("/v1/chat/completions", {"model": "offline/small", "messages": [_said("a" * 500_000)]})

    def many_parts(self) -> str:
        parts = [{"type": "text", "text": "a"}] * 60_000
        return self._ask(
            "/v1/chat/completions", {"model": "offline/small", "messages": [{"role": "user", "content": parts}]}
        )

    def patterns(self) -> str:
        pattern = self._rng.choice(["(a+)+$", "a{1000000000}", "((a*)*)*b"])
        name = f"/v1/evaluators/e{self._rng.randrange(50)}"
        made = self._api.put(name, json={"check": {"kind": "regex", "pattern": pattern}})
        return str(made.status_code)

    def exports(self) -> str:
        with self._api.stream("GET", "/v1/export/spans", params={"format": "jsonl"}) as answer:
            next(answer.iter_raw(), b"")
            return str(answer.status_code)

    def facets(self) -> str:
        parameters = {"from": "-365d", "field": list(_FIELDS)}
        return str(self._api.get("/v1/facets", params=parameters).status_code)

    def audits(self) -> str:
        return self._ask("/v1/audit", {})

    def events(self) -> str:
        with self._api.stream("GET", "/v1/events") as answer:
            return str(answer.status_code)

    def _send(self, body: bytes, headers: dict[str, str]) -> str:
        packed = {**headers, "Content-Encoding": "gzip"}
        return str(self._otlp.post("/v1/traces", content=gzip.compress(body, 1), headers=packed).status_code)

    def _ask(self, path: str, body: object) -> str:
        return str(self._api.post(path, json=body).status_code)


def _said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


_HELLO = [_said("hello")]


def _length(size: int) -> bytes:
    """A number as protobuf writes it."""
    written = bytearray()
    while size > 0x7F:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*written, size])


def _span_json(more: dict[str, object]) -> bytes:
    now = str(time.time_ns())
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "x", "startTimeUnixNano": now, "endTimeUnixNano": now}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | more]}]}]}).encode()


def attack(plan: Plan) -> dict[str, dict[str, int]]:
    """Attacks by the plan; how often each kind was answered how."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    until = time.monotonic() + plan.seconds
    threads = [threading.Thread(target=_run, args=(plan, until, answers)) for _ in range(plan.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {kind: dict(counts) for kind, counts in sorted(answers.items())}


def _run(plan: Plan, until: float, answers: dict[str, Counter[str]]) -> None:
    one = _Attack(plan)
    kinds = (plan.kind,) if plan.kind else KINDS
    while time.monotonic() < until:
        kind = random.choice(kinds)
        try:
            answers[kind][one.act(kind)] += 1
        except (httpx.HTTPError, OSError) as exc:
            answers[kind][type(exc).__name__] += 1


if __name__ == "__main__":
    print("attacking", flush=True)
    print(json.dumps(attack(Plan(**json.loads(sys.argv[1])))))
