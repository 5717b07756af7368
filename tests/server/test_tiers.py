"""Old raw data on S3: the policy of clickhouse/server/tiered.xml on a real server, with an S3 server on loopback."""

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from doc_blocks import blocks
from real_server import ROOT, Server, skip_without_engine
from spanledger.store import migrate
from spanledger.store.client import Store
from system import free_port

PARTS = "SELECT disk_name, sum(rows) FROM system.parts WHERE active AND table = 'otel_traces' GROUP BY 1 ORDER BY 1"
ROWS = (
    "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ReceivedAt, SpanAttributes) "
    "SELECT now() - {days:Int64} * 86400 AS at, toString(rand64()), toString(number), at, map('k', toString(rand64())) "
    "FROM numbers(500)"
)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket."""
    port = free_port()
    log = (tmp_path_factory.mktemp("s3") / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
    )
    url, ends, pause = f"http://127.0.0.1:{port}/spanledger", time.monotonic() + 60, threading.Event()
    while not _made(url):
        assert process.poll() is None, Path(log.name).read_text()
        assert time.monotonic() < ends, "the S3 server does not answer"
        pause.wait(0.1)
    yield url
    process.terminate()
    process.wait(30)
    log.close()


def _made(bucket: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        raise
    except OSError:
        return False


def environ(bucket: str) -> dict[str, str]:
    names = ("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    return {f"SPANLEDGER_S3_{n}": value for n, value in zip(names, (f"{bucket}/cold/", "key", "secret"), strict=True)}


@pytest.fixture(scope="module")
def tiered(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    skip_without_engine()
    server = Server(tmp_path_factory.mktemp("tiered") / "server", ROOT / "clickhouse" / "server" / "tiered.xml")
    server.start(**environ(bucket))
    yield server
    server.stop()


def until_moved(store: Store, wanted: list[tuple[str, int]]) -> None:
    ends, pause = time.monotonic() + 60, threading.Event()
    while (found := store.query(PARTS)) != wanted:
        assert time.monotonic() < ends, found
        pause.wait(0.1)


@pytest.mark.slow
def test_old_raw_spans_move_to_s3_and_are_read_from_there(tiered: Server, bucket: str) -> None:
    store = tiered.open()
    migrate.migrate(store)
    for days in (40, 0):
        store.command(ROWS, {"days": days})
    before = store.query("SELECT SpanAttributes['k'] FROM otel_traces ORDER BY 1")
    shown = [block.text for block in blocks(ROOT / "docs" / "operations.md") if block.language == "sql"][1]
    for statement in filter(str.strip, shown.split(";")):
        store.command(statement)
    until_moved(store, [("cold", 500), ("default", 500)])
    with urllib.request.urlopen(f"{bucket}?list-type=2&prefix=cold/", timeout=10) as listed:
        assert b"<Key>cold/" in listed.read()
    assert store.query("SELECT SpanAttributes['k'] FROM otel_traces ORDER BY 1") == before
    tiered.stop()
    tiered.start(**environ(bucket))
    store.command("SYSTEM FLUSH LOGS")
    assert store.scalar("SELECT count() FROM system.query_log") > 0, "it logs after a restart too"
    assert store.query("SELECT SpanAttributes['k'] FROM otel_traces ORDER BY 1") == before
    store.close()


@pytest.mark.slow
def test_backups_go_to_s3_whole_and_as_what_is_new(tiered: Server) -> None:
    admin = tiered.open("admin", "default")
    admin.command("CREATE DATABASE kept")
    store = tiered.open("admin", "kept")
    migrate.migrate(store)
    store.command(ROWS, {"days": 0})
    full, more = "Disk('cold', 'full')", "Disk('cold', 'more')"
    admin.command(f"BACKUP DATABASE kept TO {full}")
    store.command(ROWS, {"days": 1})
    admin.command(f"BACKUP DATABASE kept TO {more} SETTINGS base_backup = {full}")
    before = store.query("SELECT SpanAttributes['k'] FROM otel_traces ORDER BY 1")
    admin.command("DROP DATABASE kept SYNC")
    admin.command(f"RESTORE DATABASE kept FROM {more}")
    assert migrate.migrate(store) == 0
    assert store.query("SELECT SpanAttributes['k'] FROM otel_traces ORDER BY 1") == before
    assert len(before) == 1000
    assert store.scalar("SELECT count() FROM genai_spans") == 1000
    store.close()
    admin.close()
