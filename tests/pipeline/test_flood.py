"""In a flood storing goes first: settlement does a little now and then, and catches up afterwards."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from node import Node

from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE
from spanledger.ingest import records, spool
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

TRACES = 1_200
SEGMENTS = 12
PENDING = "SELECT count() FROM (SELECT tenant, trace_id FROM settle_queue GROUP BY 1, 2 HAVING sum(pending) != 0)"


@pytest.fixture
def ledger(store: Store, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(store, Settings(data_dir=tmp_path))
    yield opened
    opened.settler.stop()


def test_settlement_gives_way_and_catches_up(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    ledger.settler.settle_now()
    ingest = Ingest(Settings(data_dir=tmp_path), store)
    ingest.start(listen=False)
    body = Body(random.Random(1), TRACES)
    assert ingest.submit("traces", body.fresh(), "application/x-protobuf").accepted == body.spans
    assert ingest.flush(60)
    assert not ingest.is_flooded()
    ingest.stop()
    assert store.scalar(PENDING) == TRACES

    flooded, posted = True, threading.Event()
    ledger.settler.give_way_to(lambda: flooded)
    ledger.settler.on_posted(posted.set)
    ledger.settler.start()
    assert posted.wait(60)
    left = store.scalar(PENDING)
    assert 0 < left < TRACES

    flooded = False
    ledger.settler.settle_now()
    assert store.scalar(PENDING) == 0


def test_what_comes_after_settlement_stopped_is_settled_by_whoever_asks(
    store: Store, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.settler.start()
    ledger.settler.stop()  # as at the end of a system, which loads the rest of the spool then
    ingest = Ingest(Settings(data_dir=tmp_path), store)
    ingest.start(listen=False)
    assert ingest.submit("traces", Body(random.Random(2), 3).fresh(), "application/x-protobuf").ok
    assert ingest.flush(60)
    ingest.stop()
    assert ledger.settler.settle_now(within_s=0) == 0
    assert store.scalar(PENDING) == 3
    assert ledger.settler.settle_now() > 0
    assert store.scalar(PENDING) == 0


def _fill_spool(data_dir: Path, segments: int) -> int:
    """Writes segments as a process left them that is gone; returns how many spans they hold."""
    spool.prepare(data_dir)
    body, spans = Body(random.Random(3), 1_500), 0
    for number in range(segments):
        with (spool.folder(data_dir, "traces") / f"gone-{number}{spool.READY}").open("wb") as file:
            while file.tell() < spool.SEGMENT_BYTES:
                file.writelines(records.frame(body.fresh(), time.time_ns() // 1_000_000, ""))
                spans += body.spans
    return spans


def test_what_is_queued_for_settlement_can_be_read(tmp_path: Path) -> None:
    """A settler that found a trace in the queue before its spans can be read would take it off and never look again."""
    spans = _fill_spool(tmp_path, SEGMENTS)
    seen = [0]
    with Node(tmp_path) as node:
        while seen[-1] < spans // SPANS_PER_TRACE:
            ((queued,),) = node.ask(sql="SELECT uniqExact(trace_id) FROM settle_queue")
            ((there,),) = node.ask(sql="SELECT uniqExact(trace_id) FROM genai_spans")
            assert queued <= there
            seen.append(there)
    assert len(set(seen)) > 3, "it was not looked at while it came"


def test_two_loads_at_a_time_that_are_killed_leave_every_span_once(tmp_path: Path) -> None:
    spans = _fill_spool(tmp_path, SEGMENTS)
    with Node(tmp_path) as node:
        pause, ends = threading.Event(), time.monotonic() + 60
        while len(list(spool.folder(tmp_path, "traces").glob("inflight*.json"))) < 2:
            assert time.monotonic() < ends, "there was never a second load"
            pause.wait(0.002)
        node.kill()
    with Node(tmp_path) as node:
        assert node.ask(flush=120)
        assert list(spool.folder(tmp_path, "traces").glob("*.json")) == []
        counted = "SELECT count(), uniqExact(TraceId, SpanId) FROM otel_traces"
        assert node.ask(sql=counted) == [[spans, spans]]
        assert node.ask(sql="SELECT count() FROM genai_spans FINAL") == [[spans]]
        node.ask(sql="OPTIMIZE TABLE otel_traces FINAL")  # fails while merges are stopped
        assert node.ask(sql=counted) == [[spans, spans]]
