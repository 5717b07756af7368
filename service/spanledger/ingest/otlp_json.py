"""OTLP/JSON → protobuf bytes, driven by OTLP's own descriptors.

OTLP's JSON is protobuf's with exceptions (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): trace and
span ids are hexadecimal, enums are numbers, unknown fields are ignored. 64-bit integers come as strings or numbers. The
bytes are written straight from the parsed JSON, which is several times as fast as `google.protobuf.json_format`.
"""

import base64
import binascii
import math
from collections.abc import Callable
from struct import Struct
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanledger.ingest.records import varint
from spanledger.ingest.signals import Signal

_MAX_DEPTH = 90  # nested messages; the protobuf parser stops at 100
_HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}
_U64 = 2**64

_Writer = Callable[[list[bytes], Any, int], None]  # appends the encoded field of a JSON value; the last is the depth


class BadJson(ValueError):
    """The body is not JSON, or a value has the wrong type; the message names the field."""


def to_protobuf(signal: Signal, body: bytes) -> bytes:
    """The protobuf encoding of a JSON body. Raises BadJson."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadJson(f"not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise BadJson("the body must be a JSON object")
    return _encode(document, signal.descriptor, 0)


def _encode(document: dict[str, Any], descriptor: Descriptor, depth: int) -> bytes:
    if depth > _MAX_DEPTH:
        raise BadJson(f"values are nested deeper than {_MAX_DEPTH} levels")
    writers = _WRITERS.get(descriptor.full_name)
    if writers is None:
        writers = _WRITERS[descriptor.full_name] = _writers(descriptor)
    out: list[bytes] = []
    for key, value in document.items():
        writer = writers.get(key)
        if writer is not None and value is not None:
            writer(out, value, depth)
    return b"".join(out)


_WRITERS: dict[str, dict[str, _Writer]] = {}


def _writers(descriptor: Descriptor) -> dict[str, _Writer]:
    """The writer of each field under its JSON name and its proto name."""
    table: dict[str, _Writer] = {}
    for field in descriptor.fields:
        writer = _field_writer(field)
        table[field.json_name] = table[field.name] = writer
    return table


def _field_writer(field: FieldDescriptor) -> _Writer:
    one = _message_writer(field) if field.message_type is not None else _scalar_writer(field)
    if not field.is_repeated:
        return one
    name = field.json_name

    def write_all(out: list[bytes], value: Any, depth: int) -> None:
        if not isinstance(value, list):
            raise BadJson(f"{name} must be an array")
        for item in value:
            one(out, item, depth)

    return write_all


def _message_writer(field: FieldDescriptor) -> _Writer:
    tag = varint(field.number << 3 | 2)
    descriptor, name = field.message_type, field.json_name
    assert descriptor is not None

    def write(out: list[bytes], value: Any, depth: int) -> None:
        if not isinstance(value, dict):
            raise BadJson(f"{name} must be an object")
        encoded = _encode(value, descriptor, depth + 1)
        out += (tag, varint(len(encoded)), encoded)

    return write


def _scalar_writer(field: FieldDescriptor) -> _Writer:
    wire_type, encode = _SCALARS[field.type]
    if field.name in _HEX_FIELDS:
        encode = _hex
    elif field.enum_type is not None:
        names = {value.name: value.number for value in field.enum_type.values}

        def encode(value: Any) -> bytes:
            return _varint_signed(names.get(value, value) if isinstance(value, str) else value)

    tag, name = varint(field.number << 3 | wire_type), field.json_name

    def write(out: list[bytes], value: Any, depth: int) -> None:
        try:
            out += (tag, encode(value))
        except (ValueError, TypeError, OverflowError, binascii.Error) as exc:
            raise BadJson(f"{name}: {exc}") from exc

    return write


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return _sized(value.encode())


def _base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("must be a base64 string")
    plain = value.replace("-", "+").replace("_", "/").rstrip("=")
    return _sized(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))


def _hex(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("must be a hexadecimal string")
    return _sized(bytes.fromhex(value))


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise TypeError("must be an integer or a string of digits")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is not an integer")
    number = int(value)
    if not low <= number <= high:
        raise ValueError(f"{number} is out of range")
    return number


def _varint_signed(value: Any) -> bytes:
    return varint(_integer(value, -(2**63), 2**63 - 1) % _U64)


def _varint_unsigned(value: Any) -> bytes:
    return varint(_integer(value, 0, _U64 - 1))


def _zigzag(value: Any) -> bytes:
    number = _integer(value, -(2**31), 2**31 - 1)
    return varint(number << 1 if number >= 0 else -number * 2 - 1)


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return b"\x01" if value else b"\x00"


_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _double(value: Any) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("must be a number")
    return _DOUBLE.pack(_SPECIAL.get(value, value) if isinstance(value, str) and value in _SPECIAL else float(value))


_DOUBLE = Struct("<d")
_SCALARS: dict[int, tuple[int, Callable[[Any], bytes]]] = {
    FieldDescriptor.TYPE_STRING: (2, _text),
    FieldDescriptor.TYPE_BYTES: (2, _base64),
    FieldDescriptor.TYPE_BOOL: (0, _bool),
    FieldDescriptor.TYPE_ENUM: (0, _varint_signed),
    FieldDescriptor.TYPE_INT32: (0, _varint_signed),
    FieldDescriptor.TYPE_INT64: (0, _varint_signed),
    FieldDescriptor.TYPE_UINT32: (0, _varint_unsigned),
    FieldDescriptor.TYPE_UINT64: (0, _varint_unsigned),
    FieldDescriptor.TYPE_SINT32: (0, _zigzag),
    FieldDescriptor.TYPE_DOUBLE: (1, _double),
    FieldDescriptor.TYPE_FIXED64: (1, lambda value: Struct("<Q").pack(_integer(value, 0, _U64 - 1))),
    FieldDescriptor.TYPE_SFIXED64: (1, lambda value: Struct("<q").pack(_integer(value, -(2**63), 2**63 - 1))),
    FieldDescriptor.TYPE_FIXED32: (5, lambda value: Struct("<I").pack(_integer(value, 0, 2**32 - 1))),
}
