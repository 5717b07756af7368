"""Two real servers as shards: spans distributed by trace id, settled shard by shard or over all of them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import books_dump
from captures import all_captures
from otlp_make import trace_request
from real_server import Server, skip_without_engine, start_shards
from spanledger.errors import SchemaError
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import layout, migrate
from spanledger.store.client import Store
from spanledger.store.layout import Layout, adapt
from system import System

TRACES = 200
ANIMALS = ("cat", "dog", "seal", "owl", "bee", "fox")
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 8,
    "gen_ai.usage.output_tokens": 2,
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    skip_without_engine()
    pair = start_shards(tmp_path_factory.mktemp("shards"))
    yield pair
    for server in pair:
        server.kill()


def load(store: Store, data_dir: Path, bodies: list[books_dump.Body]) -> None:
    ingest = Ingest(Settings(data_dir=data_dir, otlp_http_port=0, otlp_grpc_port=0), store)
    ingest.start(listen=False)
    books_dump.submit(ingest, bodies)
    ingest.stop()


def empty(shards: tuple[Server, Server]) -> None:
    for server in shards:
        store = server.open()
        for (table,) in store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' "
            "AND name NOT LIKE 'schema_%' AND name NOT LIKE 'price_%'"
        ):
            store.command(f"TRUNCATE TABLE {table}")
        store.close()


def test_settling_each_shard_by_itself_gives_the_totals(shards: tuple[Server, Server], tmp_path: Path) -> None:
    empty(shards)
    everything = shards[0].open("app", "spanledger_all")
    bodies = []
    for _ in range(TRACES):
        parent, child = b"\x01" * 8, b"\x02" * 8
        spans = [
            {"span_id": parent, "attributes": {"session.id": "conversation-1", "user.id": "user-1"}},
            {"span_id": child, "parent_span_id": parent, "attributes": CALL},
        ]
        bodies.append(("traces", "application/x-protobuf", trace_request(*spans).SerializeToString()))
    load(everything, tmp_path, bodies + bodies[:50])
    for server in shards:
        shard = server.open("app")
        Ledger(shard, Settings(data_dir=tmp_path)).settler.settle_now()
        booked = shard.scalar("SELECT sum(llm_calls) FROM ledger")
        assert 0 < booked < TRACES
        # Only traces of this shard: both spans of each were seen together.
        assert shard.query("SELECT DISTINCT conversation_id, user_id FROM ledger WHERE llm_calls != 0") == [
            ("conversation-1", "user-1")
        ]
        shard.close()
    for table in (
        "ledger",
        "message_usage",
        "conversation_usage",
        "user_usage_1h",
        "usage_1m",
        "user_usage_1d",
        "usage_1h",
    ):
        sums = everything.query(f"SELECT sum(llm_calls), sum(input_tokens), sum(output_tokens) FROM {table}")
        assert sums == [(TRACES, 8 * TRACES, 2 * TRACES)], table
    everything.close()


@pytest.fixture(scope="module")
def single_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All tables of one embedded engine that got all captures."""
    folder = tmp_path_factory.mktemp("single")
    (folder / "bodies.json").write_text(books_dump.pack(captured()))
    words = [str(folder / name) for name in ("single", "bodies.json", "out.json")]
    subprocess.run([sys.executable, books_dump.__file__, *words], check=True, timeout=300)
    tables: dict[str, Any] = json.loads((folder / "out.json").read_text())["tables"]
    return tables


def captured() -> list[books_dump.Body]:
    return [("traces", kind, body) for capture in all_captures() for kind, body in capture.bodies]


def settle_through_all(shards: tuple[Server, Server], folder: Path) -> None:
    everything = shards[0].open("app", "spanledger_all")
    Ledger(everything, Settings(data_dir=folder)).settler.settle_now()
    everything.close()


def settle_shard_by_shard(shards: tuple[Server, Server], folder: Path) -> None:
    """Each shard by its own queue, until both are empty: a shard may hand the other a trace to look at again."""
    stores = [server.open("app") for server in shards]
    ledgers = [Ledger(store, Settings(data_dir=folder)) for store in stores]
    for _ in range(4):
        posted = sum(ledger.settler.settle_now() for ledger in ledgers)
    assert posted == 0
    for store in stores:
        assert store.scalar("SELECT count() FROM ledger WHERE llm_calls != 0") > 0
        store.close()


@pytest.mark.parametrize("settle", [settle_through_all, settle_shard_by_shard])
def test_two_shards_come_to_the_totals_of_a_single_node(
    shards: tuple[Server, Server],
    single_node: dict[str, Any],
    settle: Callable[[tuple[Server, Server], Path], None],
    tmp_path: Path,
) -> None:
    """Also where copies of one call stand in traces on different shards."""
    empty(shards)
    everything = shards[0].open("app", "spanledger_all")
    load(everything, tmp_path / "all", captured())
    settle(shards, tmp_path)
    found = books_dump.dump(everything)
    for table, rows in single_node.items():
        assert found[table] == rows, table
    apart = "SELECT count() FROM (SELECT TraceId FROM otel_traces GROUP BY TraceId HAVING uniqExact(_shard_num) > 1)"
    assert everything.scalar(apart) == 0
    for server in shards:
        shard = server.open()
        assert 0 < shard.scalar("SELECT count() FROM otel_traces") < len(found["otel_traces"])
        shard.close()
    everything.close()


@pytest.mark.slow
def test_one_up_serves_over_all_shards(shards: tuple[Server, Server], tmp_path: Path) -> None:
    """Messages, statements, documents and anomalies, wherever they lie."""
    empty(shards)
    up = System(tmp_path / "up", clickhouse_url=shards[0].url("app", "spanledger_all"))
    try:
        up.start()
        for number in range(4):
            up.post(f"/v1/conversations/talk-{number % 2}/messages", {"content": f"hello {number}", "user_id": "ann"})
        up.flush()
        for conversation in ("talk-0", "talk-1"):
            sealed = up.post(f"/v1/conversations/{conversation}/seal", {})
            assert (sealed["version"], sealed["usage"]["llm_calls"]) == (1, 2)
        up.post("/v1/conversations/talk-1/messages", {"content": "one more thing", "user_id": "ann"})
        up.flush()
        again = up.post("/v1/conversations/talk-1/seal", {})
        assert (again["version"], again["cause"]) == (2, "resumed")
        assert [one["version"] for one in up.get("conversations", "talk-1", "statement")["versions"]] == [2, 1]
        for animal in ANIMALS:
            status, _, told = up.request(
                "POST", "/v1/documents", f"A {animal} sleeps.".encode(), Content_Type="text/plain"
            )
            assert status == 201, told
        found = up.post("/v1/retrieval/search", {"query": "A seal sleeps.", "top_k": 1})["items"]
        assert [hit["text"] for hit in found] == ["A seal sleeps."]
        first = up.get("documents")["items"][0]["document_id"]
        assert up.request("DELETE", f"/v1/documents/{first}")[0] == 204
        assert len(up.get("documents")["items"]) == len(ANIMALS) - 1
        for _ in range(6):
            odd = {**CALL, "gen_ai.request.model": "nobody-knows-it", "gen_ai.usage.input_tokens": -5}
            up.export(trace_request({"attributes": odd}).SerializeToString())
        assert up.get("audit")["balanced"]
    finally:
        code = up.stop()
    assert code == 0
    assert "Traceback" not in up.stderr()
    everything = shards[0].open("app", "spanledger_all")
    kinds = "SELECT kind, uniqExact(trace_id) FROM anomalies WHERE service = 'test' GROUP BY kind ORDER BY kind"
    assert everything.query(kinds) == [("negative", 6), ("unpriced", 6)]
    assert everything.scalar("SELECT uniqExact(_shard_num) FROM ledger") == len(shards)
    everything.close()


def test_a_shard_that_is_behind_is_named_before_anything_starts(shards: tuple[Server, Server]) -> None:
    everything, behind = shards[0].open("app", "spanledger_all"), shards[1].open()
    assert migrate.migrate(everything) == 0
    row = behind.query("SELECT name, checksum, state FROM schema_migrations WHERE name = '0025_messages'")
    behind.command("DELETE FROM schema_migrations WHERE name = '0025_messages'")
    try:
        with pytest.raises(SchemaError, match="0025_messages is not applied on every shard; run `spanledger migrate"):
            migrate.migrate(everything)
    finally:
        behind.insert("schema_migrations", ["name", "checksum", "state"], row)
    assert migrate.migrate(everything) == 0
    everything.close()
    behind.close()


def test_with_a_keeper_every_table_replicates_and_every_statement_runs_on_the_cluster() -> None:
    """Read only: replication itself needs a Keeper, which this machine has not."""
    wanted = Layout("spanledger", server=True, cluster="main", keeper=True)
    for file in migrate.files("migrations"):
        statement = adapt(file.statement, wanted)
        if "\nINSERT INTO" in statement:  # runs on one server, reads and writes through the tables over all shards
            assert re.search(r"INSERT INTO spanledger_all\.\w+ [^;]+\nFROM spanledger_all\.\w+\n", statement), file.name
            continue
        assert re.search(r"\b(CREATE TABLE IF NOT EXISTS|ALTER TABLE) \w+ ON CLUSTER 'main'", statement), file.name
        if "CREATE TABLE" in statement:
            assert "ENGINE = Memory" in statement or "ENGINE = Replicated" in statement, file.name
        assert "non_replicated_deduplication_window" not in statement
    ledger = next(file for file in migrate.files("migrations") if file.name.endswith("_messages"))
    path = "'/clickhouse/tables/main/{shard}/{database}/{table}', '{replica}'"
    assert f"ENGINE = ReplicatedReplacingMergeTree({path}, version, deleted)" in adapt(ledger.statement, wanted)
    for file in migrate.files("views"):
        assert re.search(r" ON CLUSTER 'main' (TO|AS)\b", adapt(file.statement, wanted)), file.name
    everywhere = [sql for file in migrate.files("migrations") for sql in layout.distributed(file.statement, wanted)]
    assert all(" ON CLUSTER 'main'" in sql for sql in everywhere)
