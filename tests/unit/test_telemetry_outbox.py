"""An endpoint that is away: what it does not take waits on disk, bounded, and arrives when it is back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otlp_sink import Sink
from spanledger import telemetry
from spanledger.telemetry import Outbox, Telemetry, setup


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "EXPORT_TIMEOUT_S", 0.5)


def begin(sink: Sink, folder: Path, max_bytes: int = 2**20) -> Telemetry:
    return telemetry.start(sink.endpoint, outbox=Outbox(folder, max_bytes))


def emit(emission: Telemetry, *names: str) -> None:
    for name in names:
        with emission.tracer("test").start_as_current_span(name):
            pass
    emission.flush(10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.traces.pb"))


def test_an_outage_loses_nothing_and_the_endpoint_gets_it_when_it_is_back(sink: Sink, tmp_path: Path) -> None:
    emission = begin(sink, tmp_path)
    emit(emission, "before")
    sink.status = 503
    emit(emission, "during-1")
    assert emission.waiting_bytes() > 0
    started = time.monotonic()
    emit(emission, *(f"during-{number}" for number in range(2, 8)))
    assert time.monotonic() - started < 5, "it is not waited for at every batch"
    sink.status = 200
    until(lambda: len(sink.spans) == 8)
    until(lambda: emission.waiting_bytes() == 0)
    emit(emission, "after")
    emission.shutdown()
    assert [span.name for span in sink.spans] == ["before", *(f"during-{n}" for n in range(1, 8)), "after"]
    assert emission.dropped() == {"spans": 0, "logs": 0, "metric_exports": emission.dropped()["metric_exports"]}
    assert files(tmp_path) == []


def test_what_waits_at_the_end_is_sent_by_the_next_process(sink: Sink, tmp_path: Path) -> None:
    sink.status = 503
    emission = begin(sink, tmp_path)
    emit(emission, "kept")
    emission.shutdown(timeout_s=1)
    assert len(files(tmp_path)) == 1
    assert emission.dropped()["spans"] == 0
    sink.status = 200
    following = begin(sink, tmp_path)
    until(lambda: files(tmp_path) == [])
    following.shutdown()
    assert [span.name for span in sink.spans] == ["kept"]


def test_beyond_its_bound_it_drops_and_counts(sink: Sink, tmp_path: Path) -> None:
    sink.status = 503
    emission = begin(sink, tmp_path, max_bytes=1000)
    emit(emission, "fits")
    emit(emission, *("x" * 500 for _ in range(4)))
    emission.shutdown(timeout_s=1)
    assert emission.dropped()["spans"] == 4
    assert sum(path.stat().st_size for path in files(tmp_path)) < 1000


def test_what_is_refused_for_good_is_dropped_and_counted(sink: Sink, tmp_path: Path) -> None:
    sink.status = 503
    emission = begin(sink, tmp_path)
    emit(emission, "one", "two")
    sink.status = 400
    until(lambda: emission.waiting_bytes() == 0)
    assert emission.dropped()["spans"] == 2
    emission.shutdown()


def test_a_folder_that_cannot_be_used_costs_the_keeping_only(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    emission = begin(sink, tmp_path / "file")
    emit(emission, "sent")
    sink.status = 503
    emit(emission, "lost")
    emission.shutdown(timeout_s=1)
    assert [span.name for span in sink.spans] == ["sent"]
    assert emission.dropped()["spans"] == 1


def test_one_folder_is_used_by_one_process_at_a_time(sink: Sink, tmp_path: Path) -> None:
    sink.status = 503
    first, second = begin(sink, tmp_path), begin(sink, tmp_path)
    emit(first, "kept")
    emit(second, "dropped")
    assert (first.dropped()["spans"], second.dropped()["spans"]) == (0, 1)
    first.shutdown(timeout_s=1)
    second.shutdown(timeout_s=1)
