"""The same schema, door and settlement on a ClickHouse server as in the embedded engine."""

from pathlib import Path

import pytest

import books_dump
from doc_blocks import blocks
from otlp_make import trace_request
from real_server import ROOT, Server, fresh_database
from spanledger.errors import SchemaError, StoreError
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import Store, open_server
from system import System

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.conversation.id": "conversation-1",
    "user.id": "user-1",
}


def call(trace: int, **attributes: object) -> bytes:
    """One span of one LLM call, as an export request."""
    ids = trace.to_bytes(16, "big"), trace.to_bytes(8, "big")
    answered = {"gen_ai.response.id": f"response-{trace}"}
    when = {"start_time_unix_nano": 1_790_000_000_000_000_000, "end_time_unix_nano": 1_790_000_001_000_000_000}
    span = {"trace_id": ids[0], "span_id": ids[1], **when, "attributes": {**CALL, **answered, **attributes}}
    return trace_request(span).SerializeToString()


def test_the_whole_schema_migrates_and_twice_does_nothing(remote: Store) -> None:
    assert migrate.ready(remote)
    assert migrate.migrate(remote) == 0


def test_spans_through_the_door_are_settled_on_the_server(remote: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=0)
    ingest = Ingest(settings, remote)
    ingest.start(listen=False)
    for trace in (1, 2, 2):  # the second is delivered twice
        assert ingest.submit("traces", call(trace), "application/x-protobuf").accepted
    assert ingest.flush(60)
    ingest.stop()
    ledger = Ledger(remote, settings)
    ledger.settler.settle_now()
    sums = "SELECT sum(llm_calls), sum(input_tokens), sum(output_tokens), toString(sum(cost_usd)) FROM"
    (booked,) = remote.query(f"{sums} ledger")
    assert booked[:3] == (2, 200, 40)
    for rollup in ("message_usage", "conversation_usage", "user_usage_1h", "usage_1m", "user_usage_1d", "usage_1h"):
        assert remote.query(f"{sums} {rollup}") == [booked], rollup


def test_up_serves_from_a_server(server_url: str, remote: Store, tmp_path: Path) -> None:
    running = System(tmp_path / "data", clickhouse_url=server_url).start()
    try:
        running.export(call(7, **{"gen_ai.conversation.id": "conversation-up"}))
        assert running.get("conversations", "conversation-up")["usage"]["total_tokens"] == 120
    finally:
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://spanledger_admin:wrong@127.0.0.1:{http}/spanledger", "mend user or password in --clickhouse-url"),
        ("http://spanledger_admin:{admin}@127.0.0.1:{http}/nowhere", "mend the name at the end of --clickhouse-url"),
        ("http://spanledger_admin:{admin}@127.0.0.1:{tcp}/spanledger", r"give the server's HTTP port \(8123\)"),
        ("http://spanledger_admin:{admin}@127.0.0.1:1/spanledger", "is the server running, are host and port"),
        ("http://spanledger_reader:{reader}@127.0.0.1:{http}/spanledger", "`up` needs the rights of spanledger_app"),
    ],
)
def test_a_url_that_does_not_work_says_what_to_mend(server: Server, url: str, said: str) -> None:
    secrets = {user: server.password(user) for user in ("admin", "reader")}
    with pytest.raises(StoreError, match=said):
        migrate.migrate(open_server(url.format(http=server.http_port, tcp=server.tcp_port, **secrets)))


def test_a_password_may_have_any_character_when_the_url_quotes_it(server: Server) -> None:
    quoted = "".join(f"%{ord(char):02X}" for char in server.password("app"))
    open_server(f"http://spanledger_app:{quoted}@127.0.0.1:{server.http_port}/spanledger").close()


def test_a_rollup_that_was_dropped_is_named_before_anything_starts_and_can_be_made_again(
    server: Server, tmp_path: Path
) -> None:
    store = open_server(fresh_database(server.url()))
    migrate.migrate(store)
    settings = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=0)
    ingest = Ingest(settings, store)
    ingest.start(listen=False)
    assert ingest.submit("traces", call(1), "application/x-protobuf").accepted
    assert ingest.flush(60)
    ingest.stop()
    ledger = Ledger(store, settings)
    ledger.settler.settle_now()
    store.command("DROP TABLE message_usage SYNC")
    with pytest.raises(SchemaError, match=r"table message_usage is missing.*restore it from a backup"):
        migrate.migrate(store)
    store.command("DELETE FROM schema_migrations WHERE name LIKE '%_message_usage'")
    assert migrate.migrate(store) == 1
    ledger.audit(repair=True)
    assert ledger.audit().balanced
    assert store.query("SELECT message_id != '', sum(llm_calls) FROM message_usage GROUP BY 1") == [(True, 1)]
    store.close()


def test_the_service_user_needs_no_rights_on_the_schema(server: Server) -> None:
    service = server.open("app")
    assert migrate.migrate(service) == 0
    with pytest.raises(StoreError, match=r"(?i)privileges"):
        service.command("DROP TABLE ledger")
    service.close()


def test_who_may_not_migrate_is_told_who_may(server: Server) -> None:
    admin = server.open("admin", "default")
    admin.command("CREATE DATABASE IF NOT EXISTS not_migrated")
    service = server.open("app", "not_migrated")
    with pytest.raises(SchemaError, match="spanledger migrate --clickhouse-url"):
        migrate.migrate(service)
    service.close()
    admin.command("DROP DATABASE not_migrated")
    admin.close()


def test_a_reader_sees_one_tenant_and_changes_nothing(server: Server) -> None:
    admin = server.open()
    rows = [["default", "conversation-a", "message-a"], ["acme", "conversation-b", "message-b"]]
    admin.insert("messages", ["tenant", "conversation_id", "message_id"], rows)
    reader = server.open("reader")
    assert reader.query("SELECT DISTINCT tenant FROM messages") == [("default",)]
    assert set(admin.query("SELECT DISTINCT tenant FROM messages")) == {("default",), ("acme",)}
    for forbidden in (
        "INSERT INTO messages (tenant) VALUES ('default')",
        "SELECT * FROM settle_queue",
        "SELECT * FROM system.query_log",
        "SELECT * FROM url('http://127.0.0.1:1', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/hostname', 'CSV', 'a String')",
        "SELECT 1 SETTINGS max_execution_time = 3600",
    ):
        with pytest.raises(StoreError):
            reader.command(forbidden)
    admin.command("ALTER TABLE messages DELETE WHERE conversation_id IN ('conversation-a', 'conversation-b')")
    admin.close()
    reader.close()


def test_the_collectors_user_writes_raw_tables_and_reads_no_books(server: Server) -> None:
    ingest = server.open("ingest")
    ingest.insert("otel_traces", ["TraceId", "SpanId"], [["by-ingest", "1"]])
    for forbidden in (
        "SELECT * FROM ledger",
        "SELECT * FROM genai_spans",
        "SELECT * FROM messages",
        "INSERT INTO ledger (tenant) VALUES ('default')",
        "TRUNCATE TABLE otel_traces",
        "ALTER TABLE otel_traces DELETE WHERE 1",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
    ):
        with pytest.raises(StoreError, match=r"(?i)privileges"):
            ingest.command(forbidden)
    ingest.close()
    admin = server.open()
    assert admin.scalar("SELECT count() FROM genai_spans WHERE trace_id = 'by-ingest'") == 1, "the views write on"
    for table, column in (("otel_traces", "TraceId"), ("genai_spans", "trace_id"), ("settle_queue", "trace_id")):
        admin.command(f"ALTER TABLE {table} DELETE WHERE {column} = 'by-ingest'")
    admin.close()


def test_readers_have_a_quota(server: Server) -> None:
    reader = server.open("reader")
    reader.query("SELECT 1")
    name, queries, most = reader.query("SELECT quota_name, queries, max_queries FROM system.quota_usage")[0]
    assert (name, most) == ("spanledger_reader", 6000)
    assert queries > 0
    reader.close()


PLAIN_VIEWS = ("anomalies", "otel_traces_trace_id_ts")


def test_every_table_with_a_tenant_is_filtered_for_readers(server: Server) -> None:
    admin = server.open()
    told = set(
        admin.query(
            "SELECT table FROM system.columns WHERE database = 'spanledger' AND lower(name) = 'tenant' "
            f"AND table NOT LIKE '%_mv' AND table NOT IN {PLAIN_VIEWS}"  # their rows are filtered where they stand
        )
    )
    granted = {
        (table,)
        for (table,) in admin.query(
            "SELECT DISTINCT table FROM system.grants WHERE user_name = 'spanledger_reader' AND database = 'spanledger'"
        )
    }
    filtered = set(
        admin.query(
            "SELECT table FROM system.row_policies WHERE short_name = 'spanledger_reader' AND database = 'spanledger'"
        )
    )
    assert granted & told == filtered
    assert granted <= told | {(view,) for view in PLAIN_VIEWS}
    odd = "VALUES ('default', 'odd', '1', {0}), ('acme', 'odd', '2', {0})"
    for table, column, value in (
        ("genai_spans", "anomalies", "['negative:input_tokens']"),
        ("trace_anomalies", "kind", "'cycle'"),
    ):
        admin.command(f"INSERT INTO {table} (tenant, trace_id, span_id, {column}) {odd.format(value)}")
    reader = server.open("reader")
    assert set(admin.query("SELECT DISTINCT tenant FROM anomalies")) == {("default",), ("acme",)}
    assert reader.query("SELECT DISTINCT tenant FROM anomalies") == [("default",)]
    for table in ("genai_spans", "trace_anomalies"):
        admin.command(f"ALTER TABLE {table} DELETE WHERE trace_id = 'odd'")
    reader.close()
    admin.close()


def test_system_logs_are_bounded(server: Server) -> None:
    admin = server.open()
    admin.query("SELECT 1", settings={"log_queries": 1})
    admin.command("SYSTEM FLUSH LOGS")
    logs = admin.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = 'system' AND engine = 'MergeTree'"
    )
    assert logs
    assert [name for name, definition in logs if "TTL event_date + toIntervalDay(7)" not in definition] == []
    admin.close()


def test_backup_and_restore_bring_the_books_back(server: Server) -> None:
    url = fresh_database(server.url())
    store = open_server(url)
    migrate.migrate(store)
    insert = "INSERT INTO {0}.otel_traces (Timestamp, TraceId, SpanId) VALUES (now(), '{1}', '{1}')"
    store.command(insert.format(store.database, "before"))
    admin = server.open("admin", "default")
    shown = next(block.text for block in blocks(ROOT / "docs" / "operations.md") if block.language == "sql")
    named = shown.replace("DATABASE spanledger", f"DATABASE {store.database}").replace(
        "File('", f"File('{store.database}-"
    )
    backup, *later = (line.split("--")[0] for line in named.splitlines())
    admin.command(backup)
    store.command(insert.format(store.database, "between"))
    for statement in later:
        admin.command(statement)
    admin.close()
    assert migrate.migrate(store) == 0
    store.command(insert.format(store.database, "after"))  # the views are back as well
    found = store.query("SELECT trace_id FROM genai_spans ORDER BY trace_id")
    assert found == [("after",), ("before",), ("between",)]
    store.close()


def test_retention_can_be_set(remote: Store) -> None:
    limited = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '%TTL%'"
    before = remote.query(limited)
    for statement in _statements("retention.sql"):
        remote.command(statement)
    assert {name for (name,) in remote.query(limited) if (name,) not in before} == {*books_dump.RAW}


def test_the_access_statements_are_ones_that_a_server_reads(remote: Store) -> None:
    """Read, not run: this server keeps its users in XML."""
    statements = _statements("access.sql")
    assert len(statements) > 60
    for statement in statements:
        remote.query("SELECT formatQuery({sql:String})", {"sql": statement})


def _statements(name: str) -> list[str]:
    text = (ROOT / "clickhouse" / "server" / name).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
