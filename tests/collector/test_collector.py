"""The real Collector in front of a real server: the same rows and the same books as the embedded path."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import books_dump
from books_dump import Body, dump
from captures import all_captures
from otlp_make import log_request, trace_request
from real_collector import BINARY, Collector, skip_without_collector
from real_server import ROOT, Server
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

BODIES: list[Body] = [("traces", kind, body) for capture in all_captures() for kind, body in capture.bodies]
PROTOBUF = "application/x-protobuf"


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Asks until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what


@pytest.fixture
def books(server: Server, request: pytest.FixtureRequest) -> Iterator[Store]:
    """The migrated database that the ingest user may write, empty again."""
    store = server.open()
    for (table,) in store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' "
        "AND name NOT LIKE 'schema_%' AND name NOT LIKE 'price_%'"
    ):
        store.command(f"TRUNCATE TABLE {table}")
    yield store
    store.close()


@pytest.fixture
def collector(server: Server, tmp_path: Path) -> Iterator[Collector]:
    skip_without_collector()
    running = Collector(tmp_path / "collector", server)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The captures through the embedded door, in a process of its own: all tables as rows."""
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "bodies.json").write_text(books_dump.pack(BODIES))
    words = [str(folder / name) for name in ("data", "bodies.json", "out.json")]
    subprocess.run([sys.executable, books_dump.__file__, *words], check=True, timeout=120)
    written = json.loads((folder / "out.json").read_text())
    tables: dict[str, list[str]] = written["tables"]
    return tables


def settle(store: Store, tmp_path: Path) -> Ledger:
    ledger = Ledger(store, Settings(data_dir=tmp_path))
    ledger.settler.settle_now()
    return ledger


@pytest.mark.parametrize("files", [["gateway"], ["agent"], ["gateway", "auth", "live"]], ids="+".join)
def test_the_collector_accepts_the_configuration(files: list[str]) -> None:
    skip_without_collector()
    names = ("SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD", "SPANLEDGER_GATEWAY_TOKEN")
    environ = dict.fromkeys(names, "secret") | {"SPANLEDGER_LIVE": "http://127.0.0.1:8000"}
    configs = [f"--config={ROOT / 'collector' / name}.yaml" for name in files]
    done = subprocess.run([str(BINARY), "validate", *configs], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_collector_and_the_embedded_door_give_the_same_rows(
    collector: Collector, books: Store, embedded: dict[str, list[str]], tmp_path: Path
) -> None:
    collector.start()
    for signal, kind, body in BODIES:
        assert collector.send(signal, kind, body) == 200
    expected = len(embedded["otel_traces"])
    until(lambda: books.scalar("SELECT count() FROM otel_traces") == expected, "not all spans arrived")
    settle(books, tmp_path)
    found = dump(books)
    for table, rows in embedded.items():
        assert found[table] == rows, table


def test_what_is_sent_twice_is_counted_once(collector: Collector, books: Store, tmp_path: Path) -> None:
    collector.start()
    some = BODIES[:40]
    for signal, kind, body in some:
        collector.send(signal, kind, body)
    until(lambda: collector.metric("otelcol_exporter_queue_size") == 0, "the queue is not empty")
    sent = books.scalar("SELECT count() FROM otel_traces")
    settle(books, tmp_path)
    before = dump(books)["ledger"]
    for signal, kind, body in reversed(some):
        collector.send(signal, kind, body)
    until(lambda: books.scalar("SELECT count() FROM otel_traces") == 2 * sent, "the repetition did not arrive")
    settle(books, tmp_path)
    assert dump(books)["ledger"] == before


def test_secrets_and_personal_data_are_masked_and_ids_are_not(collector: Collector, books: Store) -> None:
    collector.start()
    attributes = {
        "gen_ai.input.messages": "my key is sk-abcdefghijklmnopqrstuvwx, mail me at ann@example.org",
        "http.request.header.authorization": "Bearer abcdefghijklmnopqrstuvwxyz0123",
        "user.id": "ann@example.org",
        "gen_ai.conversation.id": "4111111111111111",
    }
    collector.send("traces", PROTOBUF, trace_request({"attributes": attributes}).SerializeToString())
    until(lambda: books.scalar("SELECT count() FROM otel_traces") == 1, "the span did not arrive")
    found = books.scalar("SELECT SpanAttributes FROM otel_traces")
    assert "sk-" not in found["gen_ai.input.messages"]
    assert "ann@" not in found["gen_ai.input.messages"]
    assert "mail me at" in found["gen_ai.input.messages"]
    assert "abcdefgh" not in found["http.request.header.authorization"]
    assert found["user.id"] == "ann@example.org"
    assert found["gen_ai.conversation.id"] == "4111111111111111"


def test_sampling_takes_content_and_noise_but_no_usage(server: Server, books: Store, tmp_path: Path) -> None:
    skip_without_collector()
    sampled = {"SPANLEDGER_CONTENT_TRACES": "[0-7]", "SPANLEDGER_NOISE_TRACES": "[0-7]"}
    collector = Collector(tmp_path / "collector", server, **sampled).start()
    call = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, "gen_ai.input.messages": "[]"}
    kept, dropped = b"\x01" * 15 + b"\x03", b"\x01" * 15 + b"\x0c"
    for trace_id in (kept, dropped):
        spans = [
            {"name": "call", "attributes": call},
            {"name": "query", "attributes": {"db.system": "postgresql"}},
            {"name": "failed query", "attributes": {"db.system": "postgresql"}},
        ]
        request = trace_request(*spans, trace_id=trace_id)
        request.resource_spans[0].scope_spans[0].spans[2].status.code = 2
        collector.send("traces", PROTOBUF, request.SerializeToString())
    until(lambda: books.scalar("SELECT count() FROM otel_traces") >= 5, "the spans did not arrive")
    collector.stop()
    rows = "SELECT SpanName, mapContains(SpanAttributes, 'gen_ai.input.messages') FROM otel_traces WHERE TraceId = "
    assert set(books.query(f"{rows} '{kept.hex()}'")) == {("call", 1), ("query", 0), ("failed query", 0)}
    assert set(books.query(f"{rows} '{dropped.hex()}'")) == {("call", 0), ("failed query", 0)}


def test_logs_arrive_too(collector: Collector, books: Store) -> None:
    collector.start()
    request = log_request("hello sk-abcdefghijklmnopqrstuvwx", b"\x07" * 16)
    assert collector.send("logs", PROTOBUF, request.SerializeToString()) == 200
    until(lambda: books.scalar("SELECT count() FROM otel_logs") == 1, "the record did not arrive")
    body = books.scalar("SELECT Body FROM otel_logs")
    assert body.startswith("hello ")
    assert "sk-" not in body


def test_an_agent_hands_on_through_the_gateway(
    collector: Collector, server: Server, books: Store, tmp_path: Path
) -> None:
    collector.start()
    agent = Collector(tmp_path / "agent", server)
    agent.environ |= {
        "SPANLEDGER_AGENT_DATA": str(agent.data_dir),
        "SPANLEDGER_AGENT_HTTP": agent.environ["SPANLEDGER_COLLECTOR_HTTP"],
        "SPANLEDGER_AGENT_GRPC": agent.environ["SPANLEDGER_COLLECTOR_GRPC"],
        "SPANLEDGER_AGENT_HEALTH": agent.environ["SPANLEDGER_COLLECTOR_HEALTH"],
        "SPANLEDGER_AGENT_METRICS_PORT": str(agent.metrics_port),
        "SPANLEDGER_GATEWAY": f"http://127.0.0.1:{collector.http_port}",
    }
    agent.start("agent.yaml")
    collector.kill()  # accepted by the agent while the gateway is away
    request = trace_request(*[{"name": "x", "attributes": {"k": "sk-abcdefghijklmnopqrstuvwx"}}] * 10)
    assert agent.send("traces", PROTOBUF, request.SerializeToString()) == 200
    agent.kill()
    agent.start("agent.yaml")
    collector.start()
    until(lambda: books.scalar("SELECT count() FROM otel_traces") == 10, "the spans did not arrive")
    agent.stop()
    assert books.query("SELECT DISTINCT SpanAttributes['k'] FROM otel_traces") == [("****",)]


def test_a_malformed_body_is_refused_and_a_full_queue_says_come_again(server: Server, tmp_path: Path) -> None:
    skip_without_collector()
    nowhere = {"SPANLEDGER_CLICKHOUSE_NATIVE": "tcp://127.0.0.1:1", "SPANLEDGER_COLLECTOR_QUEUE_ITEMS": "5000"}
    collector = Collector(tmp_path / "collector", server, **nowhere).start()
    assert collector.send("traces", PROTOBUF, b"\xff\xff\xff") == 400
    many = trace_request(*[{"name": "x"}] * 1000).SerializeToString()
    told = [collector.send("traces", PROTOBUF, many) for _ in range(30)]
    assert told[0] == 200
    assert told[-1] == 503
    assert "sending queue is full" in collector.log.read_text()
    collector.kill()
