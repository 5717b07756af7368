"""Builds OTLP requests for tests: real protobuf messages with random ids."""

import os
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


def fill(target: AnyValue, value: Any) -> None:
    """Sets an AnyValue from a Python value; None leaves it empty."""
    match value:
        case None:
            pass
        case bool():
            target.bool_value = value
        case int():
            target.int_value = value
        case float():
            target.double_value = value
        case str():
            target.string_value = value
        case bytes():
            target.bytes_value = value
        case list():
            target.array_value.SetInParent()
            for item in value:
                fill(target.array_value.values.add(), item)
        case dict():
            target.kvlist_value.SetInParent()
            for key, item in value.items():
                entry = target.kvlist_value.values.add(key=key)
                fill(entry.value, item)
        case _:
            raise TypeError(type(value))


def attributes(target: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        fill(target.add(key=key).value, value)


def trace_request(
    *spans: Mapping[str, Any],
    trace_id: bytes | None = None,
    resource: Mapping[str, Any] | None = None,
) -> ExportTraceServiceRequest:
    """One request with the given spans, each `{name?, span_id?, parent_span_id?, attributes?, …}`."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    attributes(resource_spans.resource.attributes, {"service.name": "test"} | dict(resource or {}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "otlp_make", "1"
    shared = trace_id or os.urandom(16)
    now = time.time_ns()
    for given in spans:
        fields = {"trace_id": shared, "span_id": os.urandom(8), "name": "work", "kind": 1}
        fields |= {"start_time_unix_nano": now, "end_time_unix_nano": now + 1_000_000}
        fields |= {key: value for key, value in given.items() if key != "attributes"}
        attributes(scope_spans.spans.add(**fields).attributes, given.get("attributes", {}))
    return request


def log_request(body: Any, trace_id: bytes, **fields: Any) -> ExportLogsServiceRequest:
    """One request with one log record."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    attributes(resource_logs.resource.attributes, {"service.name": "test"})
    record = resource_logs.scope_logs.add().log_records.add(trace_id=trace_id, **fields)
    fill(record.body, body)
    return request
