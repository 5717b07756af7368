"""Hypothesis strategies for whole OTLP requests, driven by OTLP's own descriptors: every field, every nesting."""

import math
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"
_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_NOT_FOR_THESE_SIGNALS = {"string_value_strindex", "key_strindex"}  # of profiles: they refer to a table of strings

floats = st.floats().map(lambda number: math.nan if math.isnan(number) else number)  # one NaN, not 2**53 of them
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: floats,
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: st.integers(-(2**53), 2**53),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
}


@st.composite
def requests(draw: st.DrawFn, message: type[Message]) -> Message:
    """A random request of this class; spans have valid ids."""
    made = message()
    _fill(draw, made, 0)
    return made


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    descriptor: Descriptor = message.DESCRIPTOR
    chosen = {oneof.name: draw(st.sampled_from(list(oneof.fields))) for oneof in descriptor.oneofs}
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if field.name in _NOT_FOR_THESE_SIGNALS or (oneof is not None and chosen[oneof.name] is not field):
            continue
        if field.name in _IDS and (descriptor.name == "Span" and field.name != "parent_span_id"):
            setattr(
                message, field.name, draw(st.binary(min_size=_IDS[field.name], max_size=_IDS[field.name]).filter(any))
            )
        elif field.name in _IDS:
            setattr(message, field.name, draw(st.sampled_from([b"", b"\x01" * _IDS[field.name]])))
        elif oneof is None and depth > 3 and not draw(st.booleans()):
            continue
        elif field.is_repeated:
            _fill_repeated(draw, message, field, depth)
        elif field.message_type is not None:
            if depth < 14 or descriptor.full_name != _ANY_VALUE:
                getattr(message, field.name).SetInParent()
                _fill(draw, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, draw(_scalar(field)))


def _fill_repeated(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    for _ in range(draw(st.integers(0, 2))):
        if field.message_type is None:
            getattr(message, field.name).append(draw(_scalar(field)))
        else:
            _fill(draw, getattr(message, field.name).add(), depth + 1)


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return _SCALARS[field.type]
