"""One ClickHouse server for the lane; every module of tests has a database of its own."""

from collections.abc import Iterator

import pytest

from real_server import GIVEN_URL, Server, fresh_database, skip_without_engine
from spanledger.store import migrate
from spanledger.store.client import Store, open_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that this machine can start itself, migrated."""
    skip_without_engine()
    running = Server(tmp_path_factory.mktemp("clickhouse") / "server").start()
    store = running.open()
    migrate.migrate(store)
    store.close()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server_url(request: pytest.FixtureRequest) -> str:
    """A new, empty database: on the server of SPANLEDGER_TEST_CLICKHOUSE_URL where that is set."""
    if GIVEN_URL:
        return fresh_database(GIVEN_URL)
    return fresh_database(request.getfixturevalue("server").url())


@pytest.fixture(scope="module")
def remote(server_url: str) -> Iterator[Store]:
    """That database, migrated."""
    opened = open_server(server_url)
    migrate.migrate(opened)
    yield opened
    opened.close()
