"""A clock that jumps back: what was acknowledged is there once, and nothing waits until the old time comes again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from node import Node
from node import expect_once as node_expect_once

from acknowledged import Senders
from otlp_make import trace_request
from shifted_clock import ShiftedClock
from spanledger.ingest import records, spool
from sse import Reader, Told
from system import System

DAY_S = 86_400
CALL = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}


@pytest.fixture
def clock(tmp_path: Path) -> ShiftedClock:
    made = ShiftedClock(tmp_path)
    made.shift_s = -DAY_S
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        capture_output=True,
        env=os.environ | made.environ,
        check=True,
    )
    assert abs(time.time() - DAY_S - float(told.stdout)) < 60, "it cannot be moved"
    return made


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path / "data")
    made.timeout_s = 600.0  # a flush, of whatever came, on a machine that may have other work
    yield made
    if made.process is not None:
        made.kill()


def usage_told(message_id: str, told: list[Told]) -> bool:
    return any(event.type == "usage" and event.data["message_id"] == message_id for event in told)


def expect_once(system: System, acknowledged: set[str]) -> None:
    """Every acknowledged span is stored, and counted once; nothing is late, nothing is early."""
    system.flush()
    query = "SELECT count(), uniqExact(SpanId), groupUniqArray(SpanId) FROM otel_traces WHERE ServiceName = 'test'"
    ((count, distinct, ids),) = system.post("/v1/sql", {"query": query})["data"]
    assert acknowledged
    assert acknowledged - set(ids) == set()
    assert int(count) == int(distinct)
    used = system.post("/v1/sql", {"query": "SELECT sum(input_tokens) FROM usage_1m WHERE service = 'test'"})["data"]
    assert int(used[0][0]) == int(distinct)
    audit = system.get("audit")
    assert audit["balanced"], audit["differences"][:3]
    status, _, state = system.request("GET", "/readyz")
    assert status == 200, state["problems"]
    assert 0 <= state["lag_ms"] < 60_000
    assert state["ingest"]["retries"] == state["settlement"]["failures"] == 0


def test_a_clock_that_jumps_back_under_load(system: System, clock: ShiftedClock) -> None:
    clock.shift_s = DAY_S
    system.start(**clock.environ, SPANLEDGER_CANARY_INTERVAL_S="0")
    with Reader(system.port) as stream:
        senders = Senders(f"http://127.0.0.1:{system.otlp_port}", spans=5, threads=1, pause_s=0.1)
        senders.wait_for(50)
        stream.until_type("usage")
        for shift_s in (0, -DAY_S):
            clock.shift_s = shift_s
            senders.wait_for(50)
            reply = system.post(f"/v1/conversations/shift{shift_s}/messages", {"content": "What time is it?"})
            stream.until(partial(usage_told, reply["message_id"]))
            assert system.request("GET", "/readyz")[2]["lag_ms"] >= 0
        acknowledged = senders.stop()
    expect_once(system, acknowledged)
    system.kill()
    system.start(**clock.environ, SPANLEDGER_CANARY_INTERVAL_S="0")
    expect_once(system, acknowledged)
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


def test_a_spool_from_the_future_is_loaded(tmp_path: Path) -> None:
    """The machine was off while its clock was put right."""
    data_dir = tmp_path / "data"
    spool.prepare(data_dir)
    tomorrow_ms = int((time.time() + DAY_S) * 1000)
    ids = [os.urandom(8) for _ in range(3)]
    for number, (span_id, suffix) in enumerate(zip(ids, (spool.READY, spool.OPEN, spool.READY), strict=True)):
        body = trace_request({"span_id": span_id, "attributes": CALL}).SerializeToString()
        path = spool.folder(data_dir, "traces") / f"{tomorrow_ms:012x}-1-abcdef-{number:08d}{suffix}"
        path.write_bytes(b"".join(records.frame(body, tomorrow_ms, "")))
        os.utime(path, (tomorrow_ms / 1000, tomorrow_ms / 1000))
    with Node(data_dir) as node:
        node_expect_once(node, {span_id.hex() for span_id in ids})
        health = node.ask(health=True)
        assert (health["spool_bytes"], health["lag_ms"], health["retries"]) == (0, 0, 0)
        node.stop()
