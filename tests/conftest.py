"""Shared fixtures. The engine is the real one, one per process: tests keep apart by their own ids."""

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import preloaded
from ledger_rows import NOON, SECOND, Post, ledger_row, write_rows
from spanledger.settings import NO_SETTINGS_FILE
from spanledger.store import migrate
from spanledger.store.client import Store, open_embedded
from system import System

_numbers = itertools.count(1)
_HERE = Path(__file__).parent
# The files that take longest begin first, so that no worker still has one when the other has nothing left.
_LONGEST = (
    *("pipeline/test_erasure.py", "web/test_pages.py", "server/test_cluster.py", "pipeline/test_explain.py"),
    *("api/test_tour.py", "pipeline/test_corruption.py", "pipeline/test_crash.py", "api/test_docs_run.py"),
    *("unit/test_ingest_recovery.py", "api/test_matrix.py", "dashboards/test_dashboards.py", "pipeline/test_clock.py"),
    *("web/test_actions.py", "pipeline/test_books.py", "web/test_catalogue.py", "unit/test_ledger_copies.py"),
    *("api/test_cli_running.py", "api/test_up.py", "live/test_mixed_load.py", "web/test_hostile_pages.py"),
    *(
        "pipeline/test_faults.py",
        "unit/test_sandbox_barrier.py",
        "web/test_erasing.py",
        "unit/test_stats_found_spans.py",
    ),
)
os.environ.update(NO_SETTINGS_FILE)  # whoever runs the tests may have one in the checkout

# How long it takes to make up an example says how busy the machine is, not what is wrong.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):  # the workers of this process share what they start systems from
        preloaded.share()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {_HERE / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `store`. A test that needs another one runs `spanledger …` as a process."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def store(data_dir: Path) -> Iterator[Store]:
    """The embedded engine, migrated, shared by the whole session."""
    preloaded.migrate(data_dir)
    opened = open_embedded(data_dir)
    migrate.migrate(opened)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _logs_stay_on() -> Iterator[None]:
    """Logging belongs to the whole process: a test that switched it off would make others fail, and only in some
    orders."""
    yield
    assert logging.root.manager.disable == logging.NOTSET


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test of this session uses: isolation without truncation."""
    return f"tenant-{next(_numbers)}"


@pytest.fixture
def post(store: Store, tenant: str) -> Post:
    """Posts one ledger entry of this test's tenant."""
    counter = itertools.count()
    return lambda **columns: write_rows(store, "ledger", [ledger_row(next(counter), **{"tenant": tenant, **columns})])


@pytest.fixture
def tell(store: Store, tenant: str) -> Post:
    """Writes one row of `messages` of this test's tenant."""

    def _tell(message_id: str, **columns: Any) -> None:
        row = {
            "tenant": tenant,
            "message_id": message_id,
            "conversation_id": "",
            "started_at": NOON,
            "duration_ns": 2 * SECOND,
            "status": "ok",
            "version": 1,
            "deleted": 0,
            **columns,
        }
        write_rows(store, "messages", [row])

    return _tell


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running `spanledger up`, shared by the session: tests keep apart by their own ids."""
    running = System(tmp_path_factory.mktemp("system") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()
