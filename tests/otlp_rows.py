"""OTLP trace bodies as rows of otel_traces: a slow and obvious decoder of its own, for tests to compare with.

It shares nothing with the loader. Values become strings as the Collector's clickhouse exporter makes them: bytes
base64, arrays and maps JSON, numbers and booleans plain.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Tenant",
    "Batch",
)
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUS = ("Unset", "Ok", "Error")

Row = dict[str, Any]


def decode(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    """The request in a body of the given content type."""
    request = ExportTraceServiceRequest()
    if "json" not in content_type:
        request.ParseFromString(body)
        return request
    document = json.loads(body)
    _ids_to_base64(document)
    json_format.ParseDict(document, request, ignore_unknown_fields=True)
    return request


def _ids_to_base64(node: Any) -> None:
    """OTLP's JSON has ids in hex where protobuf's JSON expects base64."""
    if isinstance(node, list):
        for item in node:
            _ids_to_base64(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"traceId", "spanId", "parentSpanId"} and isinstance(value, str):
                node[key] = base64.b64encode(bytes.fromhex(value)).decode()
            else:
                _ids_to_base64(value)


def plain(value: AnyValue) -> Any:
    """The value as Python has it."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: plain(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case name:
            return getattr(value, name)


def text(value: AnyValue) -> str:
    """The value as the exporter's map columns have it."""
    content = plain(value)
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, list | dict):
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return repr(content)


def _map(attributes: Any) -> dict[str, str]:
    return {item.key: text(item.value) for item in attributes}


def rows(body: bytes, content_type: str, tenant: str = "default", batch: str = "") -> Iterator[Row]:
    """One row of otel_traces for every span of a body."""
    for resource_spans in decode(body, content_type).resource_spans:
        resource = _map(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {
                    "Timestamp": span.start_time_unix_nano,
                    "TraceId": span.trace_id.hex(),
                    "SpanId": span.span_id.hex(),
                    "ParentSpanId": span.parent_span_id.hex(),
                    "TraceState": span.trace_state,
                    "SpanName": span.name,
                    "SpanKind": _KINDS[span.kind],
                    "ServiceName": resource.get("service.name", ""),
                    "ResourceAttributes": resource,
                    "ScopeName": scope_spans.scope.name,
                    "ScopeVersion": scope_spans.scope.version,
                    "SpanAttributes": _map(span.attributes),
                    "Duration": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
                    "StatusCode": _STATUS[span.status.code],
                    "StatusMessage": span.status.message,
                    "Events.Timestamp": [event.time_unix_nano for event in span.events],
                    "Events.Name": [event.name for event in span.events],
                    "Events.Attributes": [_map(event.attributes) for event in span.events],
                    "Tenant": tenant,
                    "Batch": batch,
                }


def capture_rows(truth_file: Path, tenant: str = "default") -> list[Row]:
    """The rows of all trace bodies of one captured scenario."""
    truth = json.loads(truth_file.read_text())
    return [
        row
        for body in truth["bodies"]
        if body["signal"] == "traces"
        for row in rows((truth_file.parent / body["file"]).read_bytes(), body["content_type"], tenant)
    ]
