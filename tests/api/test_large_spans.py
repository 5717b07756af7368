"""Small bodies that unpack to large spans: reading them back is bounded, and what is left out is told."""

import gzip
import os

import pytest

from otlp_make import log_request, trace_request
from system import System

MIB = 1024 * 1024


def send(system: System, trace_id: bytes, *spans: dict[str, object]) -> None:
    body = gzip.compress(trace_request(*spans, trace_id=trace_id).SerializeToString())
    headers = {"Content_Type": "application/x-protobuf", "Content_Encoding": "gzip"}
    status, _, answer = system.request("POST", "/v1/traces", body, system.otlp_port, **headers)
    assert status == 200, answer
    system.flush()


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
    system.flush()
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
    system.flush()
    for found in (system.get("traces", trace_id.hex()), system.get("traces", trace_id.hex(), "spans", span_id.hex())):
        (log, *_) = found["logs"]
        assert sum(len(one["body"]) for one in found["logs"]) < 16 * MIB
        assert abs(len(log["body"]) + log["left_out"] - 30 * MIB) < 10_000


NESTED = "[" * 3000 + "]" * 3000
SAID = f'[{{"role":"user","parts":[{{"type":"text","content":"hello"}},{{"type":"text","content":{NESTED}}}]}}]'
TEXTS = (
    *("gen_ai.system_instructions", "gen_ai.tool.definitions", "gen_ai.response.finish_reasons", "input.value"),
    *("output.value", "llm.input_messages", "gen_ai.tool.call.arguments", "metadata", "tag.tags", "app.note"),
)


@pytest.mark.parametrize("said", [NESTED, SAID], ids=["messages", "a part"])
def test_texts_that_are_nested_without_end_break_no_page(system: System, said: str) -> None:
    trace_id, conversation = os.urandom(16), f"nested-{len(said)}"
    messages = {"gen_ai.input.messages": said, "gen_ai.output.messages": said, "gen_ai.conversation.id": conversation}
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", **dict.fromkeys(TEXTS, NESTED)}
    send(system, trace_id, {"attributes": {**call, **messages}})
    trace, (message,) = trace_id.hex(), system.get("conversations", conversation, "messages")["items"]
    span = system.get("traces", trace)["spans"][0]["span_id"]
    system.post(f"/v1/conversations/{conversation}/seal", {})
    for path in (
        *(f"/v1/traces/{trace}", f"/v1/traces/{trace}/rows", f"/v1/traces/{trace}/spans/{span}", f"/traces/{trace}"),
        *(f"/traces/{trace}?span={span}", f"/v1/messages/{message['message_id']}", "/v1/messages?preview=50"),
        *(f"/v1/conversations/{conversation}/{part}" for part in ("content", "analysis", "statement")),
        *(f"/conversations/{conversation}", "/messages", f"/v1/explain?trace={trace}", f"/explain?trace={trace}"),
    ):
        status, _, answer = system.request("GET", path)
        assert status == 200, (path, answer)
    content = system.get("conversations", conversation, "content")["items"]
    assert ("hello" in str(content)) == (said == SAID)
