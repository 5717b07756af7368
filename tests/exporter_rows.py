"""OTLP requests as the rows that the Collector's clickhouse exporter writes: slow, obvious, sharing nothing.

Written from the exporter's and pdata's Go sources. Times stay nanoseconds, floats stay floats.
"""

import base64
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Row = dict[str, Any]
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS = ("Unset", "Ok", "Error")
MAX_TIME = 9_223_372_035_999_999_999  # just before the end of DateTime64(9)


def text(value: AnyValue) -> str:
    """pdata's Value.AsString()."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return float_text(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value" | "kvlist_value":
            return json_text(raw(value))
    return ""


def float_text(number: float) -> str:
    """Go's strconv with the layout of encoding/json; the digits come from Decimal, the layout is done by hand."""
    if math.isnan(number) or math.isinf(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    sign, digit_tuple, exponent = Decimal(repr(number)).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple)).lstrip("0")
    minus = "-" if sign else ""
    if not digits:
        return minus + "0"
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    point = len(stripped) + exponent  # value = 0.stripped × 10^point
    if point <= -6 or point > 21:
        mantissa = stripped[0] + ("." + stripped[1:] if len(stripped) > 1 else "")
        return f"{minus}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    if point <= 0:
        return minus + "0." + "0" * -point + stripped
    if point >= len(stripped):
        return minus + stripped + "0" * (point - len(stripped))
    return minus + stripped[:point] + "." + stripped[point:]


class Float:
    """A float on its way into JSON, so that json.dumps does not print it."""

    def __init__(self, number: float) -> None:
        self.number = number


def raw(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [raw(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: raw(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode() if value.bytes_value else None
        case "double_value":
            return Float(value.double_value)
        case name:
            return getattr(value, name)


def json_text(content: Any) -> str:
    """Go's json.Encoder with SetEscapeHTML(false); "" where it fails, since AsString drops its error."""
    floats: list[float] = []

    def keep(item: Any) -> str:
        floats.append(item.number)
        return f"\0{len(floats) - 1}\0"

    dumped = json.dumps(content, default=keep, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if not all(map(math.isfinite, floats)):
        return ""
    for character in "\u2028\u2029":
        dumped = dumped.replace(character, f"\\u{ord(character):04x}")
    for number, value in enumerate(floats):
        dumped = dumped.replace(f'"\\u0000{number}\\u0000"', float_text(value))
    return dumped


def mapped(attributes: Any) -> dict[str, str]:
    return {item.key: text(item.value) for item in attributes}


def clock(nanoseconds: int) -> int:
    return min(nanoseconds, MAX_TIME)


def trace_rows(request: ExportTraceServiceRequest) -> Iterator[Row]:
    for resource_spans in request.resource_spans:
        resource = mapped(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {
                    "Timestamp": clock(span.start_time_unix_nano),
                    "TraceId": span.trace_id.hex(),
                    "SpanId": span.span_id.hex(),
                    "ParentSpanId": span.parent_span_id.hex(),
                    "TraceState": span.trace_state,
                    "SpanName": span.name,
                    "SpanKind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "",
                    "ServiceName": resource.get("service.name", ""),
                    "ResourceAttributes": resource,
                    "ScopeName": scope_spans.scope.name,
                    "ScopeVersion": scope_spans.scope.version,
                    "SpanAttributes": mapped(span.attributes),
                    "Duration": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
                    "StatusCode": STATUS[span.status.code] if 0 <= span.status.code < len(STATUS) else "",
                    "StatusMessage": span.status.message,
                    "Events.Timestamp": [clock(event.time_unix_nano) for event in span.events],
                    "Events.Name": [event.name for event in span.events],
                    "Events.Attributes": [mapped(event.attributes) for event in span.events],
                    "Links.TraceId": [link.trace_id.hex() for link in span.links],
                    "Links.SpanId": [link.span_id.hex() for link in span.links],
                    "Links.TraceState": [link.trace_state for link in span.links],
                    "Links.Attributes": [mapped(link.attributes) for link in span.links],
                }


def log_rows(request: ExportLogsServiceRequest) -> Iterator[Row]:
    for resource_logs in request.resource_logs:
        resource = mapped(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield {
                    "Timestamp": clock(record.time_unix_nano or record.observed_time_unix_nano),
                    "TraceId": record.trace_id.hex() if any(record.trace_id) else "",
                    "SpanId": record.span_id.hex() if any(record.span_id) else "",
                    "TraceFlags": record.flags & 255,
                    "SeverityText": record.severity_text,
                    "SeverityNumber": record.severity_number,
                    "ServiceName": resource.get("service.name", ""),
                    "Body": text(record.body),
                    "ResourceSchemaUrl": resource_logs.schema_url,
                    "ResourceAttributes": resource,
                    "ScopeSchemaUrl": scope_logs.schema_url,
                    "ScopeName": scope_logs.scope.name,
                    "ScopeVersion": scope_logs.scope.version,
                    "ScopeAttributes": mapped(scope_logs.scope.attributes),
                    "LogAttributes": mapped(record.attributes),
                    "EventName": record.event_name,
                }


def metric_rows(request: ExportMetricsServiceRequest) -> Iterator[tuple[str, Row]]:
    """(table, row) for every data point."""
    for resource_metrics in request.resource_metrics:
        resource = mapped(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_metrics.scope
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                for point in data.data_points:
                    row = {
                        "ResourceAttributes": resource,
                        "ResourceSchemaUrl": resource_metrics.schema_url,
                        "ScopeName": scope.name,
                        "ScopeVersion": scope.version,
                        "ScopeAttributes": mapped(scope.attributes),
                        "ScopeDroppedAttrCount": scope.dropped_attributes_count,
                        "ScopeSchemaUrl": scope_metrics.schema_url,
                        "ServiceName": resource.get("service.name", ""),
                        "MetricName": metric.name,
                        "MetricDescription": metric.description,
                        "MetricUnit": metric.unit,
                        "Attributes": mapped(point.attributes),
                        "StartTimeUnix": clock(point.start_time_unix_nano),
                        "TimeUnix": clock(point.time_unix_nano),
                        "Flags": point.flags,
                    }
                    yield f"otel_metrics_{kind}", row | _POINTS[kind](data, point)


def number(point: Any) -> float:
    kind = point.WhichOneof("value")
    return float(getattr(point, kind)) if kind else 0.0


def exemplars(point: Any) -> Row:
    return {
        "Exemplars.FilteredAttributes": [mapped(item.filtered_attributes) for item in point.exemplars],
        "Exemplars.TimeUnix": [clock(item.time_unix_nano) for item in point.exemplars],
        "Exemplars.Value": [number(item) for item in point.exemplars],
        "Exemplars.SpanId": [item.span_id.hex() for item in point.exemplars],
        "Exemplars.TraceId": [item.trace_id.hex() for item in point.exemplars],
    }


def totals(data: Any, point: Any) -> Row:
    return exemplars(point) | {
        "Count": point.count,
        "Sum": point.sum,
        "Min": point.min,
        "Max": point.max,
        "AggregationTemporality": data.aggregation_temporality,
    }


_POINTS = {
    "gauge": lambda data, point: exemplars(point) | {"Value": number(point)},
    "sum": lambda data, point: (
        exemplars(point)
        | {
            "Value": number(point),
            "AggregationTemporality": data.aggregation_temporality,
            "IsMonotonic": data.is_monotonic,
        }
    ),
    "histogram": lambda data, point: (
        totals(data, point) | {"BucketCounts": list(point.bucket_counts), "ExplicitBounds": list(point.explicit_bounds)}
    ),
    "exponential_histogram": lambda data, point: (
        totals(data, point)
        | {
            "Scale": point.scale,
            "ZeroCount": point.zero_count,
            "PositiveOffset": point.positive.offset,
            "PositiveBucketCounts": list(point.positive.bucket_counts),
            "NegativeOffset": point.negative.offset,
            "NegativeBucketCounts": list(point.negative.bucket_counts),
        }
    ),
    "summary": lambda data, point: {
        "Count": point.count,
        "Sum": point.sum,
        "ValueAtQuantiles.Quantile": [item.quantile for item in point.quantile_values],
        "ValueAtQuantiles.Value": [item.value for item in point.quantile_values],
    },
}
