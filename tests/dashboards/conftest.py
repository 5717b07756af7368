"""One run of all queries for all tests of this folder."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from real_server import GIVEN_URL, Server, fresh_database, skip_without_engine, start_shards

_HERE = Path(__file__).resolve().parent
for _folder in (_HERE, _HERE.parents[1] / "dashboards"):
    sys.path.insert(0, str(_folder))


def _run(data_dir: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, str(_HERE / "runs.py"), str(data_dir), "--traces", "1500", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the embedded engine answered to every query, with nothing chosen (`all`) and with choices (`chosen`)."""
    return _run(tmp_path_factory.mktemp("dashboards"))


@pytest.fixture(scope="session")
def server_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same from a ClickHouse server, asked by its read-only user of one tenant, as Grafana does."""
    folder = tmp_path_factory.mktemp("server")
    if GIVEN_URL:
        yield _run(folder, "--url", fresh_database(GIVEN_URL))
        return
    skip_without_engine()
    server = Server(folder / "clickhouse").start()
    try:
        yield _run(folder, "--url", server.url("admin"), "--reader-url", server.url("reader"))
    finally:
        server.stop()


@pytest.fixture(scope="session")
def cluster_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same over all shards of a cluster, by the read-only user."""
    skip_without_engine()
    folder = tmp_path_factory.mktemp("cluster")
    pair = start_shards(folder)
    try:
        urls = [pair[0].url(user, "spanledger_all") for user in ("admin", "reader")]
        yield _run(folder, "--url", urls[0], "--reader-url", urls[1])
    finally:
        for server in pair:
            server.stop()
