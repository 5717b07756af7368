"""Spans as tests draw them, and their OTLP request bodies."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

Value = str | int | float | bool
_STATUS = {
    "unset": trace_pb2.Status.STATUS_CODE_UNSET,
    "ok": trace_pb2.Status.STATUS_CODE_OK,
    "error": trace_pb2.Status.STATUS_CODE_ERROR,
}


@dataclass(frozen=True)
class Span:
    """One span. `trace_id` (32 hex digits), `span_id` and `parent_span_id` (16, '' = root); times in Unix ns."""

    tenant: str
    service: str
    scope: str
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    start_ns: int
    end_ns: int
    status: Literal["unset", "ok", "error"] = "unset"
    attributes: Mapping[str, Value] = field(default_factory=dict)


def hex_id(*parts: object, digits: int) -> str:
    """An id that depends on nothing but the parts."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=digits // 2).hexdigest()


def encode(spans: Iterable[Span]) -> bytes:
    """One export request (OTLP/HTTP protobuf body) with these spans, grouped by resource and scope."""
    request = ExportTraceServiceRequest()
    for (tenant, service), of_resource in groupby(
        sorted(spans, key=_place), key=lambda span: (span.tenant, span.service)
    ):
        resource_spans = request.resource_spans.add()
        for key, value in (("service.name", service), ("spanledger.tenant", tenant)):
            resource_spans.resource.attributes.add(key=key, value=_any(value))
        for scope, of_scope in groupby(of_resource, key=lambda span: span.scope):
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = scope
            scope_spans.spans.extend(map(_encoded, of_scope))
    return request.SerializeToString()


def _place(span: Span) -> tuple[str, str, str]:
    return span.tenant, span.service, span.scope


def _encoded(span: Span) -> trace_pb2.Span:
    encoded = trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_span_id),
        name=span.name,
        kind=trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        status=trace_pb2.Status(code=_STATUS[span.status]),
    )
    for key, value in span.attributes.items():
        encoded.attributes.add(key=key, value=_any(value))
    return encoded


def _any(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
