"""Traffic of the benchmarks that is unlike itself: recordings as new traffic, and synthetic traces that all differ."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from captures import all_captures
from spanledger.bench import recorded, varied


def spans_of(bodies: Iterable[tuple[bytes, int]]) -> list[Any]:
    found = []
    for body, count in bodies:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        assert len(spans) == count
        found += spans
    return found


def test_every_copy_of_a_recording_has_ids_of_its_own() -> None:
    spans = spans_of(recorded.bodies(2_000))
    counted = Counter((span.trace_id, span.span_id) for span in spans)
    known = {trace for capture in all_captures() for trace in capture.truth["trace_ids"]}
    assert max(counted.values()) == 1
    assert known.isdisjoint(span.trace_id.hex() for span in spans)
    responses = Counter(
        item.value.string_value for s in spans for item in s.attributes if item.key == "gen_ai.response.id"
    )
    assert len(responses) > 100
    assert responses.most_common(1)[0][1] <= 12  # spans of one call, never those of several copies


def test_spans_of_a_copy_still_belong_together() -> None:
    spans = spans_of(recorded.bodies(1_000))
    known = {(span.trace_id, span.span_id) for span in spans}
    with_parent = [span for span in spans if span.parent_span_id]
    found = [span for span in with_parent if (span.trace_id, span.parent_span_id) in known]
    assert len(found) > 0.9 * len(with_parent)


def test_varied_traces_differ_in_size_models_and_order_of_attributes() -> None:
    spans = spans_of(varied.bodies(3_000))
    sizes = set(Counter(span.trace_id for span in spans).values())
    calls = [span for span in spans if span.name.startswith("chat ")]
    assert len(sizes) > 15
    assert len({span.name for span in calls}) > 8
    assert len({tuple(item.key for item in span.attributes) for span in calls}) > 0.9 * len(calls)
