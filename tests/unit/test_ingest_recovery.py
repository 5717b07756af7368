"""A batch that the engine refuses: what is good in it is stored, with few statements."""

import os
from pathlib import Path

import pytest

from otlp_make import trace_request
from spanledger.ingest import records, spool
from spanledger.ingest.feed import FileFeed, Load
from spanledger.ingest.recovery import Recovery
from spanledger.store.client import Store

_UNREADABLE = b"\x0a\x05\x12\x03\x12\xff\x01"  # a length that goes beyond the body


@pytest.mark.parametrize("bad", [0, 37, 63])
def test_one_refused_record_among_many_segments_is_found_by_halving(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    spool.prepare(tmp_path)
    ids = [os.urandom(8) for _ in range(64)]
    bodies = [trace_request({"span_id": one}).SerializeToString() for one in ids]
    bodies[bad] = _UNREADABLE
    segments = [spool.folder(tmp_path, "traces") / f"sent-{number}{spool.READY}" for number in range(64)]
    for segment, body in zip(segments, bodies, strict=True):
        segment.write_bytes(b"".join(records.frame(body, 1, "default")))
    inserted: list[Load] = []
    insert = FileFeed.insert

    def counted(feed: FileFeed, load: Load) -> None:
        inserted.append(load)
        insert(feed, load)

    monkeypatch.setattr(FileFeed, "insert", counted)
    assert Recovery(store, tmp_path, "traces").complete(f"halving-{bad}", segments) == 1
    expected = {one.hex() for one in ids} - {ids[bad].hex()}
    found = store.query("SELECT SpanId FROM otel_traces WHERE SpanId IN {ids:Array(String)}", {"ids": [*expected]})
    assert sorted(span_id for (span_id,) in found) == sorted(expected)
    assert len(inserted) <= 2 * 6 + 3
