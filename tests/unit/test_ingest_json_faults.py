"""OTLP/JSON that cannot be read, or not all of it: what is named, what is left out, and that neighbours are kept."""

import json
import math
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.ingest import otlp_json
from spanledger.ingest.signals import METRICS, TRACES


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"resourceSpans":{}}', "resourceSpans must be an array"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', "traceId"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}', "startTimeUnixNano"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":true}]}]}]}', "startTimeUnixNano"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}', "name: must be a string"),
    ],
)
def test_json_that_cannot_be_meant_names_its_field(document: str, says: str) -> None:
    with pytest.raises(otlp_json.BadJson, match=says):
        otlp_json.to_protobuf(TRACES, document.encode())


def spans_of(document: str) -> tuple[list[Any], list[str]]:
    """The spans that are kept, and why others were set aside."""
    faults = otlp_json.Faults()
    encoded = otlp_json.to_protobuf(TRACES, document.encode("utf-8", "surrogatepass"), faults)
    request = ExportTraceServiceRequest.FromString(encoded)
    return [span for r in request.resource_spans for s in r.scope_spans for span in s.spans], faults.reasons


def span_json(**fields: Any) -> dict[str, Any]:
    return {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "fine", **fields}


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"traceId": "xyz"}, "traceId"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": 2**64}, "startTimeUnixNano"),
        ({"events": [{"name": 7}]}, "name"),
        ({"attributes": {}}, "attributes must be an array"),
        ({"attributes": [{"key": "k", "value": {"intValue": "many"}}]}, "intValue"),
    ],
)
def test_one_unreadable_span_in_json_costs_no_other(bad: dict[str, Any], field: str) -> None:
    spans = [span_json(), span_json(**bad), span_json(name="fine too")]
    found, faults = spans_of(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}, {"spans": [None]}]}]}))
    assert [span.name for span in found] == ["fine", "fine too"]
    assert len(faults) == 2
    assert field in faults[0]


KEPT = {"scopeSpans": [{"spans": [span_json(name="kept")]}]}
ODD = {"key": "odd", "value": {"intValue": "many"}}
EVEN = {"key": "even", "value": {"intValue": "2"}}
# What stands around spans: a part of the body, how many of its spans are kept, how many are set aside.
FRAMES: dict[str, tuple[Any, int, int]] = {
    "a resource": ({"resource": 5, **KEPT}, 1, 0),
    "an attribute of a resource": ({"resource": {"attributes": [ODD, EVEN]}, **KEPT}, 1, 0),
    "attributes of a resource": ({"resource": {"attributes": {"a": "b"}}, **KEPT}, 1, 0),
    "a key": ({"resource": {"attributes": [{"key": 5, "value": {"stringValue": "x"}}, EVEN]}, **KEPT}, 1, 0),
    "a count": ({"resource": {"droppedAttributesCount": -1}, **KEPT}, 1, 0),
    "an address": ({"schemaUrl": 5, **KEPT}, 1, 0),
    "a scope": ({"scopeSpans": [{"scope": [], "spans": [span_json()]}]}, 1, 0),
    "a version": ({"scopeSpans": [{"scope": {"version": 1.5}, "spans": [span_json()]}]}, 1, 0),
    "a group": (5, 0, 0),
    "a group's list": ({"scopeSpans": {"spans": [span_json(), span_json()]}}, 0, 2),
    "a group in it": ({"scopeSpans": ["x", *KEPT["scopeSpans"]]}, 1, 0),
    "a list of spans": ({"scopeSpans": [{"spans": {}}, *KEPT["scopeSpans"]]}, 1, 0),
    "spans in it": ({"scopeSpans": [{"spans": [span_json(), 5]}]}, 1, 1),
}


@pytest.mark.parametrize("what", FRAMES)
def test_what_cannot_be_read_around_spans_costs_no_other(what: str) -> None:
    odd, kept, rejected = FRAMES[what]
    faults = otlp_json.Faults()
    body = json.dumps({"resourceSpans": [odd, {"scopeSpans": [{"spans": [span_json(name="neighbour")]}]}]}).encode()
    request = ExportTraceServiceRequest.FromString(otlp_json.to_protobuf(TRACES, body, faults))
    spans = [span.name for r in request.resource_spans for s in r.scope_spans for span in s.spans]
    assert len(spans) == kept + 1
    assert spans[-1] == "neighbour"
    assert (len(faults.reasons), faults.rejected) == (1, rejected)
    resource = next(iter(request.resource_spans), None)
    attributes = [] if resource is None else [attribute.key for attribute in resource.resource.attributes]
    assert attributes == (["even"] if "even" in json.dumps(odd) else [])


def metrics_of(*metrics: Any) -> tuple[list[Any], otlp_json.Faults]:
    faults = otlp_json.Faults()
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
    request = ExportMetricsServiceRequest.FromString(otlp_json.to_protobuf(METRICS, body, faults))
    return [metric for r in request.resource_metrics for s in r.scope_metrics for metric in s.metrics], faults


@pytest.mark.parametrize(
    "metric",
    [
        {"name": 5, "gauge": {"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]}},
        {"name": "x", "sum": {"dataPoints": [{"asInt": "1"}, {"asInt": "x"}], "isMonotonic": "perhaps"}},
        {"name": "x", "histogram": {"dataPoints": [{}, {}], "aggregationTemporality": "often"}},
    ],
)
def test_a_metric_that_cannot_be_read_takes_its_points_and_no_others(metric: dict[str, Any]) -> None:
    found, faults = metrics_of({"name": "before", "gauge": {"dataPoints": [{"asInt": "1"}]}}, metric, 5)
    assert [one.name for one in found] == ["before"]
    assert (len(faults.reasons), faults.rejected) == (2, 2)


def test_a_point_that_cannot_be_read_costs_no_other() -> None:
    points = [{"asInt": "1"}, {"timeUnixNano": "soon"}, {"asDouble": "much"}, {"exemplars": [{"asInt": "x"}]}]
    (found,), faults = metrics_of({"name": "x", "gauge": {"dataPoints": points}})
    assert [point.as_int for point in found.gauge.data_points] == [1]
    assert faults.rejected == 3


@pytest.mark.parametrize("value", ["x", "1.5.2", "0x10", "", "\u00b2", "9" * 5000])
@pytest.mark.parametrize("name", ["startTimeUnixNano", "kind", "droppedAttributesCount", "flags"])
def test_a_number_that_is_none_is_named_in_our_words(name: str, value: str) -> None:
    _, (reason,) = spans_of(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span_json(**{name: value})]}]}]}))
    assert reason.startswith(f"spans: {name}: ")
    assert "int()" not in reason
    assert len(reason) < 120


def test_bare_constants_in_json_cost_no_span_but_those_that_need_another_value() -> None:
    """Python's json.dumps writes them without being asked."""
    attributes = [{"key": "d", "value": {"doubleValue": math.nan}}, {"key": "i", "value": {"intValue": -math.inf}}]
    spans = [span_json(attributes=attributes), span_json(startTimeUnixNano=math.nan), span_json(name="fine too")]
    document = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    assert "NaN" in document
    assert "-Infinity" in document
    found, faults = spans_of(document)
    assert [span.name for span in found] == ["fine", "fine too"]
    assert math.isnan(found[0].attributes[0].value.double_value)
    assert found[0].attributes[1].value.double_value == -math.inf
    assert len(faults) == 1
    assert "startTimeUnixNano" in faults[0]


def test_odd_values_in_json_are_repaired() -> None:
    values: list[Any] = [
        {"intValue": 1.5}, {"intValue": "18446744073709551616"}, {"stringValue": "half \ud83d"},
        {"arrayValue": {"values": [{"intValue": 1}, None, {"intValue": 3}]}},
    ]  # fmt: skip
    attributes = [{"key": f"k{i}", "value": value} for i, value in enumerate(values)]
    document = {"resourceSpans": [None, {"scopeSpans": [{"spans": [span_json(attributes=[None, *attributes])]}]}]}
    (span,), faults = spans_of("\ufeff" + json.dumps(document))
    assert faults == []
    number, large, text, array = [attribute.value for attribute in span.attributes]
    assert (number.double_value, large.string_value, text.string_value) == (1.5, "18446744073709551616", "half \ufffd")
    assert [value.WhichOneof("value") for value in array.array_value.values] == ["int_value", None, "int_value"]
