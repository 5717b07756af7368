"""What benchmarks send is what an SDK would send: valid, realistic in size, and never the same twice."""

import random
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE
from spanledger.ingest import otlp_json
from spanledger.ingest.probe import probe
from spanledger.ingest.signals import TRACES

TRACES_PER_BODY = 8


def spans(body: bytes, as_json: bool) -> list[Span]:
    protobuf = otlp_json.to_protobuf(TRACES, body) if as_json else body
    finding = probe("traces", protobuf)
    assert finding is not None
    assert finding.plain, "the door's fast way takes it"
    (of_resource,) = ExportTraceServiceRequest.FromString(protobuf).resource_spans
    return list(of_resource.scope_spans[0].spans)


def value(span: Span, key: str) -> str:
    found = next((a.value for a in span.attributes if a.key == key), None)
    return str(found.string_value or found.int_value) if found is not None else ""


@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
def test_every_body_is_new_and_its_traces_are_whole(as_json: bool) -> None:
    body = Body(random.Random(1), TRACES_PER_BODY, as_json)
    sent = [spans(body.fresh(), as_json) for _ in range(5)]
    everything = [span for one in sent for span in one]
    assert [len(one) for one in sent] == [body.spans] * 5
    assert len({span.span_id for span in everything}) == len(everything)
    traces = {span.trace_id for span in everything}
    assert len(traces) == len(everything) / SPANS_PER_TRACE
    ids = {span.span_id: span.trace_id for span in everything}
    parents = [(span.trace_id, ids[span.parent_span_id]) for span in everything if span.parent_span_id]
    assert all(own == of_parent for own, of_parent in parents)
    assert len(parents) == len(everything) - len(traces)
    calls = [span for span in everything if value(span, "gen_ai.response.id")]
    assert len({value(span, "gen_ai.response.id") for span in calls}) == len(calls) == 2 * len(traces)
    assert len({value(span, "gen_ai.usage.input_tokens") for span in calls}) > len(calls) / 2
    assert all(span.start_time_unix_nano < span.end_time_unix_nano <= time.time_ns() for span in everything)


def test_spans_have_the_size_that_the_figures_are_told_for() -> None:
    data = Body(random.Random(2), TRACES_PER_BODY).fresh()
    attributes = [len(span.attributes) for span in spans(data, as_json=False)]
    assert min(attributes) >= 15
    assert max(attributes) <= 20
    assert 600 < len(data) / (TRACES_PER_BODY * SPANS_PER_TRACE) < 720


def test_a_single_trace_comes_with_its_id() -> None:
    data, trace_id = Body.single()
    assert {span.trace_id.hex() for span in spans(data, as_json=False)} == {trace_id}
