"""What tenants and foreign servers supply: it costs little, whatever it is, and fetches nothing."""

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanledger.access.limits import body_of
from spanledger.errors import BadRequest
from spanledger.evaluations import rules
from spanledger.evaluations.verdict import Exchange
from spanledger.foreign import amounts, process
from spanledger.workflows.tool import Tool, ToolError

SECONDS = 12.0  # on a busy machine; each took minutes, or all of the memory


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What a server on loopback was asked for; its address is the last entry of `url`."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked.append(f"http://127.0.0.1:{server.server_port}/schema.json")
    yield asked
    server.shutdown()
    server.server_close()


def exponential() -> dict[str, Any]:
    """A schema of a few hundred characters with 2^60 paths."""
    levels = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(60)}
    return {"$defs": {**levels, "l60": {"type": "object"}}, "$ref": "#/$defs/l0"}


@pytest.mark.parametrize(
    "pattern", ["a{1000000000}", "(a{1000}){1000}{1000}", "a{2000}", "x" * 3000, "(", "a{5,99999}"]
)
def test_patterns_that_would_eat_the_memory_are_refused(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(rules.BadRule):
        rules.check("regex", {"pattern": pattern})
    assert time.monotonic() - started < SECONDS


def test_a_pattern_that_backtracks_for_ever_comes_to_no_verdict() -> None:
    started = time.monotonic()
    settings = {"pattern": r"^(([a-z])+.)+[A-Z]([a-z])+$", "expect": True}
    verdict = rules.RULES["regex"](settings, Exchange("", "a" * 3_000))
    assert verdict.error_type == "pattern_timeout"
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_schema_reaches_nothing(heard: list[str], scheme: str, tmp_path: Path) -> None:
    target = tmp_path / "schema.json"
    target.write_text('{"type": "string"}')
    address = heard[0] if scheme == "http" else target.as_uri()
    for schema in ({"$ref": address}, {"properties": {"a": {"$ref": address}}}, {"$id": address, "$ref": "other"}):
        with pytest.raises(rules.BadRule):
            rules.check("json", {"schema": schema})
        verdict = rules.RULES["json"]({"schema": schema}, Exchange("", '{"a": 1}'))
        assert verdict.error_type == "bad_schema"
    assert heard[1:] == []


def test_an_exponential_schema_is_given_up() -> None:
    started = time.monotonic()
    verdict = rules.RULES["json"]({"schema": exponential()}, Exchange("", '{"a": 1}'))
    assert verdict.error_type == "schema_timeout"
    assert time.monotonic() - started < SECONDS
    good = {"type": "object", "properties": {"a": {"type": "integer"}}}  # and the next is judged
    assert rules.RULES["json"]({"schema": good}, Exchange("", '{"a": 1}')).score == 1


def test_a_foreign_tools_schema_stops_nothing() -> None:
    async def run() -> tuple[str, float]:
        tool = Tool("s.t", "", exponential(), lambda: "", source="s", kind="extension")
        loop = asyncio.get_running_loop()
        checking, worst = loop.create_task(tool.arguments('{"a": 1}')), 0.0
        while not checking.done():
            started = loop.time()
            await asyncio.sleep(0.01)
            worst = max(worst, loop.time() - started)
        error = checking.exception()
        assert isinstance(error, ToolError)
        return error.error_type, worst

    kind, worst = asyncio.run(run())
    assert kind == "invalid_schema"
    assert worst < 1.0


def test_a_foreign_tools_good_schema_is_checked() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tool = Tool("s.t", "", schema, lambda: "", source="s", kind="extension")
    assert asyncio.run(tool.arguments('{"a": 1}')) == {"a": 1}
    with pytest.raises(ToolError, match="a: 'x' is not of type 'integer'"):
        asyncio.run(tool.arguments('{"a": "x"}'))


def test_the_process_has_no_keys_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    pool = process.Pool()
    assert pool.run({"kind": "pattern", "pattern": "a"}) == {"ok": True}
    (running,) = pool._idle
    assert b"sk-secret" not in Path(f"/proc/{running.pid}/environ").read_bytes()
    pool.close()


@pytest.mark.parametrize("text", ["1e-30000000", "1e3000000", "1e31", "1e-31", "NaN", "Infinity", "9" * 200, "", "x"])
def test_numbers_that_cannot_be_written_down_are_none(text: str) -> None:
    assert amounts.parse(text) is None
    with pytest.raises(BadRequest):
        body_of({"scope": "user", "usd_per_day": text or "x"})


@pytest.mark.parametrize("text", ["0", "12.50", "1e3", "0.000000000000001", "1e-15", "999999999999"])
def test_usual_numbers_are_themselves(text: str) -> None:
    assert amounts.parse(text) == amounts.parse(Decimal(text)) == Decimal(text)


def test_what_is_kept_of_a_limit_is_short() -> None:
    with pytest.raises(BadRequest):
        body_of({"scope": "user", "usd_per_day": Decimal("1e-30000000")})
    assert len(json.dumps(body_of({"scope": "user", "usd_per_day": Decimal("1e-30")}))) < 200
