"""What was acknowledged is there once, whatever happened to the process."""

import os
from pathlib import Path

import httpx
import pytest
from node import Node, expect_once
from soak import MIGRATIONS_PER_FOLDER, Soak

from acknowledged import PROTOBUF, Senders
from otlp_make import trace_request
from spanledger.ingest import records, spool


def test_kill_at_random_moments_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Two hundred times: `python tests/pipeline/soak.py`, which `make soak` runs."""
    figures = Soak(tmp_path, seed=int(os.environ.get("CRASH_SEED", "7")), whole_share=0.0).run(10)
    assert figures.good, figures
    assert figures.killed_in["migration"] == MIGRATIONS_PER_FOLDER


def test_one_acknowledged_span_survives_an_immediate_kill(tmp_path: Path) -> None:
    span_id = os.urandom(8)
    body = trace_request({"span_id": span_id}).SerializeToString()
    with Node(tmp_path) as node:
        assert httpx.post(f"{node.endpoint}/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        node.kill()
    with Node(tmp_path) as node:
        expect_once(node, {span_id.hex()})


def test_a_stop_loads_everything_and_leaves_the_spool_empty(tmp_path: Path) -> None:
    with Node(tmp_path, durability="fsync") as node:
        senders = Senders(node.endpoint)
        senders.wait_for(1000)
        acknowledged = senders.stop()
        node.stop()
    assert list(spool.ready_segments(tmp_path)) == []
    with Node(tmp_path) as node:
        expect_once(node, acknowledged)


@pytest.mark.parametrize("suffix", [spool.OPEN, spool.READY])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_segment_costs_only_what_is_damaged(tmp_path: Path, damage: str, suffix: str) -> None:
    spool.prepare(tmp_path)
    ids = [os.urandom(8) for _ in range(10)]
    framed = [record(trace_request({"span_id": span_id}).SerializeToString()) for span_id in ids]
    data = bytearray(b"".join(framed))
    if damage == "truncated":
        del data[-7:]
        intact = 9
    else:
        data[len(framed[0]) * 7 + 40] ^= 4
        del ids[7]
        intact = 9
    (spool.folder(tmp_path, "traces") / f"gone-1{suffix}").write_bytes(data)
    with Node(tmp_path) as node:
        expect_once(node, {span_id.hex() for span_id in ids[:intact]})
    assert len(list((tmp_path / "spool" / "dead").glob("*.bin"))) == 1


def test_a_record_that_clickhouse_cannot_read_is_set_aside_alone(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    ids = [os.urandom(8) for _ in range(9)]
    bodies = [trace_request({"span_id": span_id}).SerializeToString() for span_id in ids]
    bodies.insert(5, b"\x0a\x05\x12\x03\x12\xff\x01")  # what the door would not have let in
    data = b"".join(map(record, bodies))
    (spool.folder(tmp_path, "traces") / f"gone-1{spool.READY}").write_bytes(data)
    with Node(tmp_path) as node:
        expect_once(node, {span_id.hex() for span_id in ids})
        assert node.ask(health=True)["dead_letters"] == 1
    (dead,) = (tmp_path / "spool" / "dead").glob("*.bin")
    assert bodies[5] in dead.read_bytes()
    assert "Code: " in dead.with_suffix(".reason.txt").read_text()


def record(body: bytes) -> bytes:
    return b"".join(records.frame(body, 1_700_000_000_000, ""))
