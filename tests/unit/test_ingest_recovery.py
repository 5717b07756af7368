"""A batch that the engine refuses: what is good in it is stored, with few statements."""

import os
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp_make import attributes, trace_request
from spanledger.errors import StoreError
from spanledger.ingest import records, spool
from spanledger.ingest.feed import FileFeed, Load
from spanledger.ingest.recovery import Recovery
from spanledger.store.client import Store

_UNREADABLE = b"\x0a\x05\x12\x03\x12\xff\x01"  # a length that goes beyond the body


@pytest.mark.parametrize("bad", [{0}, {37}, {63}, {3, 4, 20, 41, 63}, set(range(0, 64, 4))], ids=str)
@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_refused_records_among_many_segments_are_found_with_few_statements(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: set[int], named: bool
) -> None:
    """The embedded engine names the file that it cannot read; without that they are found by halving."""
    spool.prepare(tmp_path)
    ids = [os.urandom(8) for _ in range(64)]
    bodies = [trace_request({"span_id": one}).SerializeToString() for one in ids]
    for number in bad:
        bodies[number] = _UNREADABLE
    segments = [spool.folder(tmp_path, "traces") / f"sent-{number}{spool.READY}" for number in range(64)]
    for segment, body in zip(segments, bodies, strict=True):
        segment.write_bytes(b"".join(records.frame(body, 1, "default")))
    inserted: list[Load] = []
    insert = FileFeed.insert

    def counted(feed: FileFeed, load: Load) -> None:
        inserted.append(load)
        try:
            insert(feed, load)
        except StoreError as exc:
            raise StoreError(str(exc) if named else str(exc).replace("in file/uri", "somewhere")) from exc

    monkeypatch.setattr(FileFeed, "insert", counted)
    assert Recovery(store, tmp_path, "traces").complete(tmp_path.name, segments) == len(bad)
    expected = {one.hex() for number, one in enumerate(ids) if number not in bad}
    found = store.query("SELECT SpanId FROM otel_traces WHERE SpanId IN {ids:Array(String)}", {"ids": [*expected]})
    assert sorted(span_id for (span_id,) in found) == sorted(expected)
    assert len(inserted) <= (3 * len(bad) + 1 if named else len(bad) * (2 * 6 + 3))


def test_calls_in_log_records_that_a_crash_cut_off_are_completed_once(store: Store, tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    agent = {"event.name": "codex.sse_event", "event.kind": "response.completed", "model": "gpt-5-codex"}
    counts = {"input_token_count": 731, "output_token_count": 19, "conversation.id": tmp_path.name}
    request = ExportLogsServiceRequest()
    for number in range(3):
        record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=10**18 + number)
        attributes(record.attributes, agent | counts)
    segment = spool.folder(tmp_path, "logs") / f"sent{spool.READY}"
    segment.write_bytes(b"".join(records.frame(request.SerializeToString(), 1, "default")))
    levels = (("otel_traces", "Batch", "SpanId"), ("genai_spans", "batch", "span_id"))
    for cut_off in ((), levels[1:], levels, ()):
        for table, batch, _ in cut_off:
            store.command(f"DELETE FROM {table} WHERE {batch} = '{tmp_path.name}'")
        assert Recovery(store, tmp_path, "logs").complete(tmp_path.name, [segment]) == 0
        for table, batch, span in levels:
            found = f"SELECT count(), uniqExact({span}) FROM {table} WHERE {batch} = '{tmp_path.name}'"
            assert store.query(found) == [(3, 3)], (table, cut_off)
