"""Values reach ClickHouse as the Collector's exporter writes them, and JSON says the same as protobuf."""

import base64
import itertools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from otlp_make import fill, log_request, trace_request
from spanledger.ingest import otlp_json
from spanledger.ingest.canonical import as_string, canonical
from spanledger.ingest.probe import probe
from spanledger.ingest.records import varint
from spanledger.ingest.service import Ingest
from spanledger.ingest.signals import TRACES
from spanledger.settings import Settings
from spanledger.store.client import Store

PROTOBUF, JSON = "application/x-protobuf", "application/json"

# What `Value.AsString()` of the Collector's pdata prints: v1.67.0, of Collector 0.161, said so itself.
AS_STRING = [
    ("text", "text"),
    ("", ""),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-(2**63), "-9223372036854775808"),
    (0.25, "0.25"),
    (3.0, "3"),
    (1e-7, "1e-7"),
    (1.5e-6, "0.0000015"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (-0.0, "-0"),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (5e-324, "5e-324"),
    (b"\x00\xff", "AP8="),
    ([], "[]"),
    (["stop", 'a"b<&>/\\é'], '["stop","a\\"b<&>/\\\\é"]'),
    (["\n", "\x1f\u2028"], '["\\n","\\u001f\\u2028"]'),
    ([1, 2.5, True, None, b"\x01"], '[1,2.5,true,null,"AQ=="]'),
    ([b"", "b"], '[null,"b"]'),
    ([1.0, math.nan], ""),
    ([["a"], {"k": 1}], '[["a"],{"k":1}]'),
    ({"b": 1, "a": {"c": [None]}}, '{"a":{"c":[null]},"b":1}'),
    ({"x": math.inf}, ""),
    ({"x": b"", "y": [], "z": {}}, '{"x":null,"y":[],"z":{}}'),
    (None, ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def ingest(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    opened = Ingest(Settings(data_dir=tmp_path_factory.mktemp("values")), store)
    opened.start(listen=False)
    yield opened
    opened.stop()


def stored(
    ingest: Ingest, store: Store, request: Any, trace_id: bytes, table: str = "otel_traces"
) -> list[dict[str, Any]]:
    signal = "logs" if table == "otel_logs" else "traces"
    answer = ingest.submit(signal, request.SerializeToString(), PROTOBUF)
    assert answer.ok, answer
    assert ingest.flush(30)
    return store.dicts(f"SELECT * FROM {table} WHERE TraceId = {{id:String}} ORDER BY SpanName" if signal == "traces"
                       else f"SELECT * FROM {table} WHERE TraceId = {{id:String}}", {"id": trace_id.hex()})  # fmt: skip


@pytest.mark.parametrize(("value", "text"), AS_STRING, ids=[repr(value)[:30] for value, _ in AS_STRING])
def test_value_as_the_collector_prints_it(value: Any, text: str) -> None:
    message = AnyValue()
    fill(message, value)
    assert as_string(message) == text


def test_every_kind_of_value_is_stored_as_the_collector_prints_it(ingest: Ingest, store: Store) -> None:
    values = {f"k{number:02}": value for number, (value, _) in enumerate(AS_STRING)}
    trace_id = os.urandom(16)
    rows = stored(ingest, store, trace_request({"attributes": values}, trace_id=trace_id), trace_id)
    assert rows[0]["SpanAttributes"] == {f"k{number:02}": text for number, (_, text) in enumerate(AS_STRING)}


def test_flat_values_take_the_fast_way_and_give_the_same_text(ingest: Ingest, store: Store) -> None:
    flat = {f"k{number:02}": pair for number, pair in enumerate(AS_STRING) if not _nested(pair[0])}
    trace_id = os.urandom(16)
    request = trace_request({"attributes": {key: value for key, (value, _) in flat.items()}}, trace_id=trace_id)
    finding = probe("traces", request.SerializeToString())
    assert finding is not None
    assert finding.plain
    rows = stored(ingest, store, request, trace_id)
    assert rows[0]["SpanAttributes"] == {key: text for key, (_, text) in flat.items()}


def _nested(value: Any) -> bool:
    """What the door writes as text itself: maps, arrays in arrays, and text in arrays that JSON writers disagree on."""
    if not isinstance(value, list):
        return isinstance(value, dict)
    return any(isinstance(item, list | dict) or (isinstance(item, str) and not item.isprintable()) for item in value)


def test_a_whole_span_arrives(ingest: Ingest, store: Store) -> None:
    trace_id, span_id, parent, other = os.urandom(16), os.urandom(8), os.urandom(8), os.urandom(16)
    request = trace_request({"name": "n", "span_id": span_id, "parent_span_id": parent, "kind": 3}, trace_id=trace_id)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.trace_state = "a=1"
    span.start_time_unix_nano, span.end_time_unix_nano = 1_700_000_000_123_456_789, 1_700_000_001_123_456_790
    span.status.code, span.status.message = 2, "boom"
    event = span.events.add(time_unix_nano=1_700_000_000_200_000_001, name="e")
    fill(event.attributes.add(key="x").value, [1])
    link = span.links.add(trace_id=other, span_id=parent, trace_state="b=2")
    fill(link.attributes.add(key="y").value, True)
    (row,) = stored(ingest, store, request, trace_id)
    assert (row["SpanId"], row["ParentSpanId"], row["TraceState"]) == (span_id.hex(), parent.hex(), "a=1")
    assert (row["SpanName"], row["SpanKind"], row["ServiceName"]) == ("n", "Client", "test")
    assert (row["StatusCode"], row["StatusMessage"], row["Duration"]) == ("Error", "boom", 1_000_000_001)
    assert (row["ScopeName"], row["ScopeVersion"], row["Tenant"]) == ("otlp_make", "1", "default")
    assert row["Events.Name"] == ["e"]
    assert row["Events.Attributes"] == [{"x": "[1]"}]
    assert (row["Links.TraceId"], row["Links.SpanId"]) == ([other.hex()], [parent.hex()])
    assert (row["Links.TraceState"], row["Links.Attributes"]) == (["b=2"], [{"y": "true"}])
    times = store.query(
        "SELECT toUnixTimestamp64Nano(Timestamp), arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) "
        "FROM otel_traces WHERE TraceId = {id:String}",
        {"id": trace_id.hex()},
    )
    assert times == [(1_700_000_000_123_456_789, [1_700_000_000_200_000_001])]


@pytest.mark.parametrize(
    ("body", "text"), [("plain", "plain"), ({"message": "hi", "n": 1}, '{"message":"hi","n":1}'), (["a", 1], '["a",1]')]
)
def test_log_bodies(ingest: Ingest, store: Store, body: Any, text: str) -> None:
    trace_id = os.urandom(16)
    request = log_request(body, trace_id, observed_time_unix_nano=5, severity_number=9, severity_text="INFO", flags=257)
    (row,) = stored(ingest, store, request, trace_id, "otel_logs")
    assert (row["Body"], row["SeverityText"], row["SeverityNumber"], row["TraceFlags"]) == (text, "INFO", 9, 1)


def test_hostile_numbers_do_not_stop_a_span(ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    backwards = {"start_time_unix_nano": 2**64 - 1, "end_time_unix_nano": 0, "kind": 99, "name": "x" * 100_000}
    request = trace_request(backwards, trace_id=trace_id)
    request.resource_spans[0].scope_spans[0].spans[0].status.code = 77
    fill(request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="twice").value, 1)
    fill(request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="twice").value, 2)
    (row,) = stored(ingest, store, request, trace_id)
    assert (row["Duration"], row["SpanKind"], row["StatusCode"]) == (0, "", "")


def test_an_exponential_histogram_is_the_same_in_json_and_a_scale_beyond_32_bits_stops_nobody(
    ingest: Ingest, store: Store
) -> None:
    point = {"timeUnixNano": "2", "count": "3", "scale": -4, "positive": {"offset": 1, "bucketCounts": ["1", "2"]}}
    metric = {"name": "exponential-json", "exponentialHistogram": {"dataPoints": [point]}}
    document = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    assert ingest.submit("metrics", document, "application/json").accepted == 1
    scale = b"\x30" + b"\xff" * 9 + b"\x01"  # field 6, a varint of 64 bits
    body = scale
    for tag in (b"\x0a", b"\x52", b"\x12", b"\x12", b"\x0a"):  # data_points, of a metric, of a scope, of a resource
        body = tag + varint(len(body)) + body
    assert ingest.submit("metrics", body, "application/x-protobuf").accepted == 1
    assert ingest.flush(30)
    query = "SELECT Scale, PositiveOffset, PositiveBucketCounts FROM otel_metrics_exponential_histogram"
    assert store.query(f"{query} WHERE MetricName = 'exponential-json'") == [(-4, 1, [1, 2])]
    health = ingest.health()
    assert (health["dead_letters"], health["retries"]) == (0, 0), health["last_error"]


def test_text_that_is_not_utf8_is_repaired(ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    body = trace_request({"name": "AAAA", "attributes": {"k": "BBBB"}}, trace_id=trace_id).SerializeToString()
    answer = ingest.submit("traces", body.replace(b"AAAA", b"A\xffA\xfe").replace(b"BBBB", b"\xc3(BB"), PROTOBUF)
    assert answer.ok
    assert ingest.flush(30)
    rows = store.query(
        "SELECT SpanName, SpanAttributes['k'] FROM otel_traces WHERE TraceId = {id:String}", {"id": trace_id.hex()}
    )
    assert rows == [("A\ufffdA\ufffd", "\ufffd(BB")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x0a\x01v\x18\x05\x10\x01\x10\x01", "true"),
        (b"\x18\x05\x10\x01\x18\x05\x0a\x01v", "v"),
        (b"\x0a\x01v\x2a\x04\x0a\x02\x18\x07", "[7]"),
    ],
)
def test_of_a_value_that_is_said_in_several_ways_the_last_one_counts(
    ingest: Ingest, store: Store, value: bytes, text: str
) -> None:
    """As protobuf has it; to ClickHouse a oneof that was sent twice is an error."""
    before = ingest.health()["dead_letters"]
    trace_id, neighbour = os.urandom(16), os.urandom(16)
    body = trace_request({"attributes": {"k": "1234567"}}, trace_id=trace_id).SerializeToString()
    assert ingest.submit("traces", body.replace(b"\x0a\x071234567", value), PROTOBUF).accepted == 1
    assert ingest.submit("traces", trace_request({}, trace_id=neighbour).SerializeToString(), PROTOBUF).accepted == 1
    assert ingest.flush(30)
    query = "SELECT SpanAttributes['k'] FROM otel_traces WHERE TraceId = {id:String}"
    assert store.query(query, {"id": trace_id.hex()}) == [(text,)]
    assert store.query(query, {"id": neighbour.hex()}) == [("",)]
    assert ingest.health()["dead_letters"] == before


def test_spans_without_ids_are_rejected_alone() -> None:
    good, bad = {"name": "good"}, {"name": "bad", "span_id": b"\0" * 8}
    clean = canonical(TRACES, trace_request(bad, good, bad | {"span_id": b"short"}).SerializeToString())
    assert clean is not None
    assert (clean.items, clean.rejected) == (1, 2)
    kept = ExportTraceServiceRequest.FromString(clean.body)
    assert [span.name for span in kept.resource_spans[0].scope_spans[0].spans] == ["good"]


def test_a_sender_cannot_choose_a_tenant_by_the_spools_own_fields(ingest: Ingest, store: Store) -> None:
    trace_id = os.urandom(16)
    forged = b"\xd2\xb8\x02\x06victim"  # field 5002, as the spool writes it
    assert ingest.submit("traces", trace_request({}, trace_id=trace_id).SerializeToString() + forged, PROTOBUF).ok
    assert ingest.flush(30)
    tenants = store.query("SELECT Tenant FROM otel_traces WHERE TraceId = {id:String}", {"id": trace_id.hex()})
    assert tenants == [("default",)]


floats = st.floats().map(lambda number: math.nan if math.isnan(number) else number)  # one NaN, not 2**53 of them
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), floats, st.text(max_size=20), st.binary(max_size=9)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
_traces = itertools.count(1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(st.dictionaries(st.text(max_size=9), values, max_size=5), min_size=1, max_size=12))
def test_any_value_is_stored_as_it_is_printed(ingest: Ingest, store: Store, batch: list[dict[str, Any]]) -> None:
    """Both ways into the table, the query's and the door's, against the one printer."""
    trace_id = next(_traces).to_bytes(16, "big")
    names = [f"{number:02}" for number in range(len(batch))]
    spans = [{"name": name, "attributes": values} for name, values in zip(names, batch, strict=True)]
    rows = stored(ingest, store, trace_request(*spans, trace_id=trace_id), trace_id)
    expected = []
    for attributes in batch:
        texts = {}
        for key, value in attributes.items():
            message = AnyValue()
            fill(message, value)
            texts[key] = as_string(message)
        expected.append(texts)
    assert [row["SpanAttributes"] for row in rows] == expected


@settings(max_examples=100, deadline=None)
@given(attributes=st.dictionaries(st.text(max_size=9), values, max_size=6), kind=st.integers(0, 5))
def test_json_says_the_same_as_protobuf(attributes: dict[str, Any], kind: int) -> None:
    request = trace_request({"attributes": attributes, "kind": kind, "flags": 257, "trace_state": "x"})
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId"):
            span[name] = base64.b64decode(span[name]).hex()
    encoded = otlp_json.to_protobuf(TRACES, json.dumps(document).encode())
    assert ExportTraceServiceRequest.FromString(encoded).SerializeToString() == request.SerializeToString()


def test_json_takes_numbers_and_strings_and_ignores_what_it_does_not_know() -> None:
    document = {
        "resource_spans": [{"scopeSpans": [{"spans": [{
            "traceId": "AB" * 16, "spanId": "cd" * 8, "startTimeUnixNano": 5, "endTimeUnixNano": "6",
            "kind": "SPAN_KIND_CLIENT", "new": {"field": 1}, "status": None,
            "attributes": [{"key": "i", "value": {"intValue": 7}}, {"key": "d", "value": {"doubleValue": "NaN"}}],
        }]}]}]
    }  # fmt: skip
    request = ExportTraceServiceRequest.FromString(otlp_json.to_protobuf(TRACES, json.dumps(document).encode()))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    assert (span.trace_id, span.kind) == (b"\xab" * 16, 3)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (5, 6)
    assert span.attributes[0].value.int_value == 7
    assert math.isnan(span.attributes[1].value.double_value)


TRACE_ID, SPAN_ID = bytes(range(200, 216)), bytes(range(248, 256))
START = 1_697_742_807_123_456_789


def packed(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def halves(number: int) -> dict[str, Any]:
    """As Long.js has them: signed."""
    high, low = divmod(number, 2**32)
    return {"low": low - 2**32 if low >= 2**31 else low, "high": high}


@pytest.mark.parametrize(
    "members",
    [
        {"traceId": TRACE_ID.hex().upper(), "spanId": SPAN_ID.hex(), "startTimeUnixNano": START},
        {"traceId": packed(TRACE_ID), "spanId": packed(SPAN_ID), "startTimeUnixNano": str(START)},
        {
            "traceId": packed(TRACE_ID.hex().encode()),
            "spanId": packed(SPAN_ID.hex().encode()),
            "startTimeUnixNano": halves(START),
        },
        {
            "traceId": packed(TRACE_ID).replace("+", "-").replace("/", "_"),
            "spanId": SPAN_ID.hex(),
            "startTimeUnixNano": halves(START) | {"unsigned": True},
        },
    ],
)
def test_ids_in_base64_and_times_in_halves_as_some_exporters_write_them(members: dict[str, Any]) -> None:
    attributes = [{"key": "n", "value": {"intValue": halves(-5)}}]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [members | {"name": "x", "attributes": attributes}]}]}]}
    read = ExportTraceServiceRequest.FromString(otlp_json.to_protobuf(TRACES, json.dumps(body).encode()))
    (span,) = read.resource_spans[0].scope_spans[0].spans
    assert (span.trace_id, span.span_id, span.start_time_unix_nano) == (TRACE_ID, SPAN_ID, START)
    assert span.attributes[0].value.int_value == -5


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("traceId", packed(SPAN_ID)),
        ("spanId", packed(TRACE_ID)),
        ("spanId", packed(b"no hex, but long")),
        ("spanId", "====" * 3),
        ("startTimeUnixNano", {"low": 1}),
        ("startTimeUnixNano", {"low": 1, "high": 2**40}),
        ("startTimeUnixNano", {"low": {"low": 1, "high": 1}, "high": 1}),
    ],
)
def test_ids_and_times_that_are_no_such_are_refused(member: str, value: Any) -> None:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{member: value}]}]}]}
    with pytest.raises(otlp_json.BadJson, match=member):
        otlp_json.to_protobuf(TRACES, json.dumps(body).encode())


def test_json_nested_without_end_is_refused() -> None:
    value = '{"arrayValue":{"values":[' * 300 + "]}}" * 300
    text = '{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":' + value + "}]}}]}"
    with pytest.raises(otlp_json.BadJson, match="deeper"):
        otlp_json.to_protobuf(TRACES, text.encode())


def test_protobuf_nested_without_end_is_refused(tmp_path: Path) -> None:
    value: Any = 1
    for _ in range(120):
        value = [value]
    assert probe("traces", trace_request({"attributes": {"k": value}}).SerializeToString()) is None
