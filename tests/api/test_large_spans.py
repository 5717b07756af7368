"""Small bodies that unpack to large spans: reading them back is bounded, and what is left out is told."""

import gzip
import os

from otlp_make import log_request, trace_request
from system import System

MIB = 1024 * 1024


def send(system: System, trace_id: bytes, *spans: dict[str, object]) -> None:
    body = gzip.compress(trace_request(*spans, trace_id=trace_id).SerializeToString())
    headers = {"Content_Type": "application/x-protobuf", "Content_Encoding": "gzip"}
    status, _, answer = system.request("POST", "/v1/traces", body, system.otlp_port, **headers)
    assert status == 200, answer
    system.post("/v1/flush", {})


def test_a_huge_span_is_shown_in_part_and_says_so(system: System) -> None:
    trace_id = os.urandom(16)
    send(system, trace_id, {"attributes": {f"k{n:02}": "v" * MIB for n in range(30)}})
    found = system.get("traces", trace_id.hex())
    (span,) = found["spans"]
    shown = sum(map(len, span["attributes"].values()))
    assert shown < 16 * MIB
    assert abs(shown + span["left_out"] - 30 * MIB) < 10_000
    assert found["truncated"]
    assert set(map(len, span["attributes"].values())) == {200_000}


def test_many_large_spans_are_bounded_together(system: System) -> None:
    trace_id = os.urandom(16)
    send(system, trace_id, *({"attributes": {f"k{n}": "v" * 1000 for n in range(10)}} for _ in range(3000)))
    found = system.get("traces", trace_id.hex())
    assert len(found["spans"]) == 3000
    assert sum(len(value) for span in found["spans"] for value in span["attributes"].values()) < 16 * MIB
    assert min(span["left_out"] for span in found["spans"]) > 0


def test_a_resource_is_not_multiplied_by_its_spans(system: System) -> None:
    trace_id = os.urandom(16)
    body = trace_request(*({} for _ in range(500)), trace_id=trace_id, resource={"big": "v" * MIB}).SerializeToString()
    status, _, answer = system.request(
        "POST", "/v1/traces", body, system.otlp_port, Content_Type="application/x-protobuf"
    )
    assert status == 200, answer
    system.post("/v1/flush", {})
    found = system.get("traces", trace_id.hex())
    assert len(found["spans"]) == 500
    assert sum(len(span["resource"]["big"]) for span in found["spans"]) < MIB


def test_an_ordinary_trace_is_shown_in_full(system: System) -> None:
    trace_id = os.urandom(16)
    send(system, trace_id, {"attributes": {"long": "v" * 100_000}})
    found = system.get("traces", trace_id.hex())
    assert not found["truncated"]
    assert (len(found["spans"][0]["attributes"]["long"]), found["spans"][0]["left_out"]) == (100_000, 0)


def test_a_huge_span_is_shown_in_part_by_its_own_address_too(system: System) -> None:
    trace_id, span_id = os.urandom(16), os.urandom(8)
    send(system, trace_id, {"span_id": span_id, "attributes": {f"k{n:02}": "v" * MIB for n in range(30)}})
    for more in ({}, {"cut": 0}, {"cut": 1_000_000}):
        found = system.get("traces", trace_id.hex(), "spans", span_id.hex(), **more)
        shown = sum(map(len, found["attributes"].values()))
        assert 0 < shown < 16 * MIB
        assert abs(shown + found["left_out"] - 30 * MIB) < 10_000
    small = os.urandom(8)
    send(system, os.urandom(16), {"span_id": small, "trace_id": trace_id, "attributes": {"long": "v" * MIB}})
    found = system.get("traces", trace_id.hex(), "spans", small.hex())
    assert (len(found["attributes"]["long"]), found["left_out"], found["cut"]) == (MIB, 0, {})


def test_huge_log_records_are_shown_in_part(system: System) -> None:
    trace_id, span_id = os.urandom(16), os.urandom(8)
    send(system, trace_id, {"span_id": span_id})
    body = gzip.compress(log_request("v" * 30 * MIB, trace_id, span_id=span_id).SerializeToString())
    headers = {"Content_Type": "application/x-protobuf", "Content_Encoding": "gzip"}
    assert system.request("POST", "/v1/logs", body, system.otlp_port, **headers)[0] == 200
    system.post("/v1/flush", {})
    for found in (system.get("traces", trace_id.hex()), system.get("traces", trace_id.hex(), "spans", span_id.hex())):
        (log, *_) = found["logs"]
        assert sum(len(one["body"]) for one in found["logs"]) < 16 * MIB
        assert abs(len(log["body"]) + log["left_out"] - 30 * MIB) < 10_000
