"""The spool: what is written can be read back, and what is damaged is set aside, not loaded and not lost silently."""

import errno
import os
from pathlib import Path

import pytest

from otlp_make import trace_request
from spanledger.errors import StoreBusy
from spanledger.ingest import dead, records, salvage, spool
from spanledger.ingest.answers import Answer
from spanledger.ingest.journal import Journal
from spanledger.ingest.loader import Loader
from spanledger.ingest.room import Room
from spanledger.ingest.service import Ingest
from spanledger.settings import Settings
from spanledger.store.client import Store


def writer(folder: Path, ready: list[spool.Segment]) -> spool.Writer:
    spool.prepare(folder)
    return spool.Writer(folder, durable=False, on_ready=ready.append)


def test_records_are_found_where_they_were_written() -> None:
    data = b"".join(b"".join(records.frame(os.urandom(size), 1, "t")) for size in (0, 1, 127, 128, 70_000))
    found = records.scan(data)
    assert len(found.records) == 5
    assert found.damaged == []
    assert sum(length for _, length in found.records) == len(data)


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_torn_record_ends_the_scan(cut: int) -> None:
    first = b"".join(records.frame(b"a" * 100, 1, "t"))
    data = first + b"".join(records.frame(b"b" * 100, 1, "t"))[:-cut]
    assert records.scan(data) == records.Scan([(0, len(first))], [(len(first), len(data) - len(first))])


def test_a_flipped_bit_is_noticed_wherever_it_is() -> None:
    record = bytearray(b"".join(records.frame(b"body of some length", 1_700_000_000_000, "tenant")))
    for position in range(len(record) * 8):
        record[position // 8] ^= 1 << position % 8
        assert records.scan(bytes(record)).records == []
        record[position // 8] ^= 1 << position % 8
    assert len(records.scan(bytes(record)).records) == 1


def test_a_segment_is_announced_when_it_is_complete(tmp_path: Path) -> None:
    ready: list[spool.Segment] = []
    out = writer(tmp_path, ready)
    out.append("traces", b"one", "", 1)
    out.append("traces", b"two", "", 2)
    assert ready == []
    out.finish("traces")
    assert [(segment.items, segment.size) for segment in ready] == [(3, ready[0].path.stat().st_size)]
    assert len(records.scan(ready[0].path.read_bytes()).records) == 2


def test_what_a_dead_writer_left_is_adopted_up_to_the_damage(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    good = b"".join(records.frame(b"acknowledged", 1, ""))
    left = spool.folder(tmp_path, "traces") / f"gone-1{spool.OPEN}"
    left.write_bytes(good + b"\x7f torn")
    salvage.adopt(tmp_path)
    (segment,) = spool.ready_segments(tmp_path)
    assert segment.path.read_bytes() == good
    dead = tmp_path / "spool" / "dead"
    assert sorted(path.suffix for path in dead.iterdir()) == [".bin", ".txt"]
    assert next(dead.glob("*.bin")).read_bytes() == b"\x7f torn"


def test_a_segment_that_was_never_written_to_is_no_segment(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    (spool.folder(tmp_path, "logs") / f"gone-1{spool.OPEN}").touch()
    salvage.adopt(tmp_path)
    assert list(spool.ready_segments(tmp_path)) == []


def test_a_record_that_the_disk_does_not_take_leaves_no_trace(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    ready: list[spool.Segment] = []
    out = writer(tmp_path, ready)
    out.append("traces", b"first", "", 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(spool.SpoolFull, match=os.strerror(errno.EFBIG)):
            out.append("traces", b"x" * 10_000, "", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    out.append("traces", b"second", "", 1)
    out.finish("traces")
    found = records.scan(ready[0].path.read_bytes())
    assert (len(found.records), found.damaged) == (2, [])


def test_a_full_spool_refuses_before_it_writes(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    room = Room(tmp_path, max_bytes=1000, min_free_bytes=0)
    room.admit(900)
    with pytest.raises(spool.SpoolFull, match="the spool is full"):
        room.admit(200)


def test_a_disk_that_is_nearly_full_refuses(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    with pytest.raises(spool.SpoolFull, match="the disk is nearly full"):
        Room(tmp_path, max_bytes=2**60, min_free_bytes=2**60).admit(1)


def test_the_journal_remembers_a_batch_until_it_is_loaded(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    segment = spool.folder(tmp_path, "traces") / "s.ready"
    segment.write_bytes(b"x")
    journal = Journal(tmp_path, "traces", durable=True)
    assert journal.pending() is None
    journal.begin("b1", [segment])
    pending = Journal(tmp_path, "traces", durable=True).pending()
    assert pending is not None
    assert (pending.batch, pending.segments) == ("b1", [segment])
    journal.end([segment])
    assert journal.pending() is None
    assert not segment.exists()


def test_a_segment_that_was_loaded_since_it_was_seen_is_not_loaded_again(store: Store, tmp_path: Path) -> None:
    ready: list[spool.Segment] = []
    out = writer(tmp_path, ready)
    out.append("traces", trace_request({}).SerializeToString(), "", 1)
    out.finish("traces")
    loader = Loader(store, tmp_path, False, lambda _: None, lambda _: None)
    loader.start()
    assert loader.drain(30)
    loader.offer(ready[0])  # as the supervisor does with what it found on disk a moment ago
    assert loader.drain(0)
    loader.stop(30)
    assert loader.progress()["traces"].retries == 0
    assert loader.progress()["traces"].batches == 1


def test_what_stands_behind_a_damaged_record_is_found() -> None:
    framed = [b"".join(records.frame(bytes([n]) * 100, 1, "t")) for n in range(5)]
    data = bytearray(b"".join(framed))
    data[len(framed[0]) + 50] ^= 8
    found = records.scan(data)
    assert [offset // len(framed[0]) for offset, _ in found.records] == [0, 2, 3, 4]
    assert found.damaged == [(len(framed[0]), len(framed[0]))]


def test_a_record_inside_a_body_is_never_taken_for_one() -> None:
    forged = b"".join(records.frame(b"forged", 1, "somebody else"))
    good = b"".join(records.frame(b"good", 1, "me"))
    carrier = b"".join(records.frame(forged * 20, 1, "me"))
    for cut in range(1, len(carrier)):
        found = records.scan(good + carrier[:cut])
        assert found.records == [(0, len(good))]


@pytest.mark.parametrize("tenant", ["", "shop", "t" * 200])
def test_a_record_is_taken_apart_into_what_it_was_made_of(tenant: str) -> None:
    body = trace_request({"attributes": {"n": 1, "text": "x" * 300}}).SerializeToString()
    record = b"".join(records.frame(body, 1_700_000_000_000, tenant))
    assert records.unframe(record) == records.Record(body, 1_700_000_000_000, tenant)


def test_a_body_that_is_no_protobuf_cannot_be_taken_out() -> None:
    for body in (b"\xff" * 20, b"\x0b", b"\x0a\xff\x01"):
        with pytest.raises(ValueError):
            records.unframe(b"".join(records.frame(body, 1, "")))


def test_a_segment_that_lay_on_disk_is_checked_before_it_is_loaded(tmp_path: Path) -> None:
    ready: list[spool.Segment] = []
    out = writer(tmp_path, ready)
    for body in (b"first", b"second", b"third"):
        out.append("traces", body, "", 1)
    out.finish("traces")
    (fresh,) = ready
    data = bytearray(fresh.path.read_bytes())
    data[len(data) // 2] ^= 1
    fresh.path.write_bytes(data)
    assert salvage.intact(tmp_path, fresh), "what was written a moment ago is not read again"
    assert fresh.path.read_bytes() == data
    (left,) = spool.ready_segments(tmp_path)
    assert salvage.intact(tmp_path, left)
    assert len(records.scan(left.path.read_bytes()).records) == 2
    (letter,) = dead.letters(tmp_path)
    assert (letter.signal, letter.reason, letter.records) == ("traces", dead.DAMAGED, 0)


def test_a_segment_with_nothing_intact_is_set_aside_whole(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    (spool.folder(tmp_path, "logs") / f"gone-1{spool.READY}").write_bytes(b"nothing of ours")
    (left,) = spool.ready_segments(tmp_path)
    assert not salvage.intact(tmp_path, left)
    assert not left.path.exists()
    assert [letter.size_bytes for letter in dead.letters(tmp_path)] == [15]


def test_a_segment_that_cannot_be_completed_stays_open_and_is_completed_later(tmp_path: Path) -> None:
    ready: list[spool.Segment] = []
    out = writer(tmp_path, ready)
    out.append("traces", b"one", "", 1)
    (path,) = spool.folder(tmp_path, "traces").glob("*.open")
    in_the_way = path.with_suffix(spool.READY)
    in_the_way.mkdir()  # as a disk that takes no rename
    with pytest.raises(OSError):
        out.finish("traces")
    in_the_way.rmdir()
    out.append("traces", b"two", "", 1)
    assert out.finish("traces")
    assert [segment.items for segment in ready] == [2]


def test_a_letter_that_is_refused_again_keeps_its_id_and_gets_the_new_reason(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    body = trace_request({}).SerializeToString()
    record = b"".join(records.frame(body, 1, "shop"))
    first = dead.bury(tmp_path, "traces", "first", record, "Code: 1. old").stem
    sent: list[tuple[str, bytes, str, str]] = []

    def submit(*what: str | bytes) -> Answer:
        sent.append(what)  # type: ignore[arg-type]
        return Answer(200, accepted=1)

    def flush() -> bool:  # ClickHouse refuses it again, and the loader sets it aside again
        dead.bury(tmp_path, "traces", "second", b"".join(records.frame(body, 2, "shop")), "Code: 2. new")
        return True

    (outcome,) = dead.replay(tmp_path, [], submit, flush)
    assert sent == [("traces", body, "application/x-protobuf", "shop")]
    assert (outcome.id, outcome.result, outcome.detail) == (first, "refused", "Code: 2. new")
    assert [(letter.id, letter.reason) for letter in dead.letters(tmp_path)] == [(first, "Code: 2. new")]


def test_a_spool_has_one_owner(store: Store, tmp_path: Path) -> None:
    with spool.own(tmp_path), pytest.raises(StoreBusy, match="another process"):
        Ingest(Settings(data_dir=tmp_path), store).start(listen=False)
    free = Ingest(Settings(data_dir=tmp_path), store)
    free.start(listen=False)
    free.stop()
