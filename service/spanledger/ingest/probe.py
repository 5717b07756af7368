"""Exact validation of a protobuf body at a fraction of the price of parsing it.

The C parser spends its time on allocating one object per span, attribute and value. Protobuf *merges* a sub-message
that is declared singular and occurs again, so the schemas here are OTLP's own with every repeated message made
singular: all spans parse into one object. The wire format, every nested length and every string's UTF-8 are checked as
in a full parse (0.4 µs instead of 1.2 µs a span), and later checks run once a body, not once a span.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from spanledger.ingest.records import OWN_FIELDS

_FIELD = descriptor_pb2.FieldDescriptorProto
FILES: tuple[Any, ...] = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    logs_pb2,
    metrics_pb2,
    trace_service_pb2,
    logs_service_pb2,
    metrics_service_pb2,
)
_ROOTS = {
    "traces": "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    "logs": "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
    "metrics": "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
}
_MOST_UNKNOWN_BYTES = 512 * 1024  # fields that newer senders know take some bytes a span
_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"
_ITEM = "InArray"
_IDS = ("trace_id", "span_id")
_SPAN = "Span"  # whose ids are collected
_ODD_TEXT = re.compile("[\x00-\x1f\u2028\u2029]")  # ClickHouse and Go write these differently in JSON
_COUNTED = {"spans", "log_records", "data_points"}  # what the spec counts when it rejects


def _pool(adapt: Callable[[Any, Any], None]) -> descriptor_pool.DescriptorPool:
    """OTLP with each message changed by `adapt`, which gets its file and the message."""
    pool = descriptor_pool.DescriptorPool()
    for module in FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in list(file.message_type):
            _without_oneofs(message)
            adapt(file, message)
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _merge(file: Any, message: Any) -> None:
    """Every repeated message singular; the ids of a span are repeated, so that all of them can be seen."""
    for field in message.field:
        if field.type == _FIELD.TYPE_MESSAGE:
            field.label = _FIELD.LABEL_OPTIONAL
        elif message.name == _SPAN and field.name in _IDS:
            field.label = _FIELD.LABEL_REPEATED
    if message.name == "ArrayValue":
        message.field[0].type_name = f".{_ANY_VALUE}{_ITEM}"
    if message.name == "AnyValue":
        _add_array_item(file, message)


def _add_array_item(file: descriptor_pb2.FileDescriptorProto, any_value: descriptor_pb2.DescriptorProto) -> None:
    """A type of its own for values in arrays, which keeps all of their strings."""
    item = file.message_type.add()
    item.CopyFrom(any_value)
    item.name += _ITEM
    next(field for field in item.field if field.name == "string_value").label = _FIELD.LABEL_REPEATED


def _keep_items(_: Any, message: Any) -> None:
    """Only the way to the items: these are repeated bytes, so that a body's items are counted without being parsed."""
    for field in [f for f in message.field if f.type != _FIELD.TYPE_MESSAGE or f.name in _OFF_THE_WAY]:
        message.field.remove(field)
    for field in message.field:
        if field.name in _COUNTED:
            field.type = _FIELD.TYPE_BYTES
            field.ClearField("type_name")
        else:
            field.label = _FIELD.LABEL_OPTIONAL


def _keep_scope_names(_: Any, message: Any) -> None:
    """Only the way to the names of scopes, which are repeated bytes: everything else is skipped."""
    for field in [f for f in message.field if f.name not in _TO_SCOPES]:
        message.field.remove(field)
    for field in message.field:
        if field.type == _FIELD.TYPE_MESSAGE:
            field.label = _FIELD.LABEL_OPTIONAL
        else:
            field.type, field.label = _FIELD.TYPE_BYTES, _FIELD.LABEL_REPEATED


_TO_SCOPES = {"resource_spans", "scope_spans", "resource_logs", "scope_logs", "scope", "name"}
_OFF_THE_WAY = {"resource", "scope", "metadata", "attributes", "exemplars", "events", "links", "status"}


def _without_oneofs(message: descriptor_pb2.DescriptorProto) -> None:
    del message.oneof_decl[:]
    for field in message.field:
        field.ClearField("oneof_index")
        field.ClearField("proto3_optional")
    for nested in message.nested_type:
        _without_oneofs(nested)
        for field in nested.field:
            if field.type == _FIELD.TYPE_MESSAGE:
                field.label = _FIELD.LABEL_OPTIONAL


def _classes(pool: descriptor_pool.DescriptorPool) -> dict[str, type[Message]]:
    return {
        signal: message_factory.GetMessageClass(pool.FindMessageTypeByName(root)) for signal, root in _ROOTS.items()
    }


_MERGED = _classes(_pool(_merge))
_COUNTING = _classes(_pool(_keep_items))
_SCOPES = _classes(_pool(_keep_scope_names))


@dataclass(frozen=True)
class Finding:
    """What a well-formed body holds. `plain` means that ClickHouse reads every part of it as it stands."""

    items: int
    plain: bool


def probe(signal: str, body: bytes) -> Finding | None:
    """Looks through a protobuf body; None when it is malformed (or holds text that is not UTF-8)."""
    try:
        merged = _MERGED[signal].FromString(body)
        items = count_items(signal, body)
    except DecodeError:
        return None
    if len(body) > _MOST_UNKNOWN_BYTES and _unknown_bytes(merged) > _MOST_UNKNOWN_BYTES:
        return Finding(items, False)
    return Finding(items, _all_readable(merged) and (signal != "traces" or _all_identified(merged, items)))


def _unknown_bytes(merged: Message) -> int:
    """How much of it no field is known for: one object for each such field would be made to look at them."""
    whole = merged.SerializeToString()
    known = type(merged).FromString(whole)
    known.DiscardUnknownFields()
    return len(whole) - known.ByteSize()


def count_items(signal: str, body: bytes) -> int:
    """Spans, log records or data points in a body. Raises DecodeError."""
    return sum(_lengths(_COUNTING[signal].FromString(body)))


def scope_names(signal: str, body: bytes) -> list[bytes]:
    """The names of all scopes of a body of traces or logs, each as often as it is said. Raises DecodeError."""
    merged: Any = _SCOPES[signal].FromString(body)
    of_resource = merged.resource_spans if signal == "traces" else merged.resource_logs
    return list((of_resource.scope_spans if signal == "traces" else of_resource.scope_logs).scope.name)


def metric_kinds(body: bytes) -> set[str]:
    """The kinds of data points in a body of metrics, as the fields of a metric are called. Raises DecodeError."""
    merged: Any = _COUNTING["metrics"].FromString(body)
    metric = merged.resource_metrics.scope_metrics.metrics
    return {field.name for field, value in metric.ListFields() if value.data_points}


def _lengths(message: Message) -> Iterator[int]:
    for field, value in message.ListFields():
        if field.name in _COUNTED:
            yield len(value)
        else:
            yield from _lengths(value)


def _all_identified(merged: Any, spans: int) -> bool:
    """Whether every span has a trace id and a span id of the right length that is not zero."""
    if spans == 0:
        return True
    ids = merged.resource_spans.scope_spans.spans
    trace_ids, span_ids = list(ids.trace_id), list(ids.span_id)
    return (
        len(trace_ids) == len(span_ids) == spans
        and set(map(len, trace_ids)) == {16}
        and set(map(len, span_ids)) == {8}
        and bytes(16) not in trace_ids
        and bytes(8) not in span_ids
    )


def _all_readable(message: Message) -> bool:
    """Whether there are neither nested values nor fields that ClickHouse would trip over, here and below."""
    descriptor: Any = message.DESCRIPTOR
    if _has_misused_field(message, descriptor):
        return False
    if descriptor.full_name == _ANY_VALUE and not _is_flat(message):
        return False
    return all(_all_readable(value) for field, value in message.ListFields() if field.type == _FIELD.TYPE_MESSAGE)


def _has_misused_field(message: Message, descriptor: Any) -> bool:
    """A known number with another wire type, or one of the spool's own: the parser files both under unknown."""
    unknown: Any = UnknownFieldSet(message)
    if not len(unknown):
        return False
    known = descriptor.fields_by_number
    return any(field.field_number in known or field.field_number in OWN_FIELDS for field in unknown)


def _is_flat(value: Any) -> bool:
    """A scalar, or an array of scalars: what the loading query turns into text by itself, as the Collector would."""
    if value.HasField("kvlist_value"):
        return False
    if not value.HasField("array_value") or not value.array_value.HasField("values"):
        return True
    items = value.array_value.values
    if items.HasField("kvlist_value") or items.HasField("array_value"):
        return False
    return not any(map(_ODD_TEXT.search, items.string_value))
