"""A ClickHouse server that goes away under load: what was acknowledged is there once, what did not fit was refused."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acknowledged import Senders
from real_server import Server, skip_without_engine
from system import WITHOUT_CHAT, System

SOON_S = 10.0  # an answer to a request, whether or not the server is there


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    skip_without_engine()
    running = Server(tmp_path / "server").start()
    yield running
    running.stop()


@pytest.fixture
def system(server: Server, tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path / "data", roles=WITHOUT_CHAT, clickhouse_url=server.url())
    made.timeout_s = 600.0  # a flush, of all that came in two minutes, on a machine that may have other work
    yield made
    if made.process is not None:
        made.kill()


def load(system: System) -> Senders:
    return Senders(f"http://127.0.0.1:{system.otlp_port}", spans=5, threads=2, pause_s=0.05)


def until_the_spool_is_empty(system: System) -> None:
    """A segment goes a moment after its spans have been loaded."""
    until = time.monotonic() + 30
    while system.request("GET", "/readyz")[2]["ingest"]["spool_bytes"]:
        assert time.monotonic() < until


def expect_once(system: System, server: Server, acknowledged: set[str]) -> None:
    system.flush()
    store = server.open()
    ((count, distinct, ids),) = store.query(
        "SELECT count(), uniqExact(SpanId), groupUniqArray(SpanId) FROM otel_traces WHERE ServiceName = 'test'"
    )
    ((tokens,),) = store.query("SELECT sum(input_tokens) FROM usage_1m WHERE service = 'test'")
    store.close()
    assert acknowledged
    assert acknowledged - set(ids) == set()
    assert (count, tokens) == (distinct, distinct)
    assert system.get("audit")["balanced"]


@pytest.mark.parametrize(
    "seconds", [pytest.param(3.0, id="seconds"), pytest.param(120.0, id="two minutes", marks=pytest.mark.slow)]
)
def test_a_server_that_is_away_only_grows_the_spool(server: Server, system: System, seconds: float) -> None:
    system.start()
    senders = load(system)
    senders.wait_for(50)
    server.kill()
    away_since = time.monotonic()
    while time.monotonic() - away_since < seconds:
        senders.wait_for(50)
    state = system.request("GET", "/readyz")[2]
    assert "store: " in state["problems"][0]
    assert state["ingest"]["spool_bytes"] > 0
    server.start()
    senders.wait_for(50)
    acknowledged = senders.stop()
    assert not senders.refused
    assert senders.slowest_s < SOON_S
    system.kill()  # in the middle of catching up
    system.start()
    expect_once(system, server, acknowledged)
    until_the_spool_is_empty(system)
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


def test_a_spool_that_is_full_refuses_until_the_server_is_back(server: Server, system: System) -> None:
    system.start(SPANLEDGER_SPOOL_MAX_BYTES="100000")
    senders = load(system)
    senders.wait_for(50)
    server.kill()
    senders.wait_for_refusal(503)
    server.start()
    senders.wait_for(50)
    acknowledged = senders.stop()
    assert set(senders.refused) == {503}
    assert senders.slowest_s < SOON_S
    expect_once(system, server, acknowledged)
    assert system.stop() == 0
