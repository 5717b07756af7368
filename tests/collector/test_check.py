"""What is wrong between Collector and server is said before the first span, with what to do about it."""

import os
import subprocess
import sys

from real_server import ROOT, Server


def check(server: Server, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {
        "SPANLEDGER_CLICKHOUSE_HTTP": f"http://127.0.0.1:{server.http_port}",
        "SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD": server.password("ingest"),
        **environ,
    }
    command = [sys.executable, str(ROOT / "tools" / "collector_check.py")]
    return subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True)


def test_a_migrated_server_is_accepted(server: Server) -> None:
    done = check(server)
    assert done.returncode == 0, done.stderr


def test_a_wrong_password_is_named(server: Server) -> None:
    done = check(server, SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD="wrong")
    assert done.returncode == 1
    assert "wrong password; set SPANLEDGER_CLICKHOUSE_INGEST_PASSWORD" in done.stderr


def test_a_server_that_is_away_is_named(server: Server) -> None:
    done = check(server, SPANLEDGER_CLICKHOUSE_HTTP="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


def test_an_address_that_is_none_and_the_wrong_port_are_named(server: Server) -> None:
    for address, why in (
        ("nonsense", "SPANLEDGER_CLICKHOUSE_HTTP must look like http://host:8123"),
        (f"http://127.0.0.1:{server.tcp_port}", "give the server's HTTP port (8123) in SPANLEDGER_CLICKHOUSE_HTTP"),
    ):
        done = check(server, SPANLEDGER_CLICKHOUSE_HTTP=address)
        assert done.returncode == 1
        assert why in done.stderr


def test_missing_tables_are_named_with_the_command(server: Server) -> None:
    done = check(server, SPANLEDGER_CLICKHOUSE_DATABASE="nowhere")
    assert done.returncode == 1
    assert "table nowhere.otel_traces is missing" in done.stderr
    assert "spanledger migrate --clickhouse-url" in done.stderr


def test_an_older_schema_is_told_column_by_column(server: Server) -> None:
    admin = server.open()
    admin.command("ALTER TABLE otel_logs RENAME COLUMN EventName TO WasEventName")
    try:
        done = check(server)
        assert done.returncode == 1
        assert "otel_logs lacks EventName" in done.stderr
    finally:
        admin.command("ALTER TABLE otel_logs RENAME COLUMN WasEventName TO EventName")
        admin.close()
