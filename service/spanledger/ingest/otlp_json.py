"""OTLP/JSON → protobuf bytes, driven by OTLP's own descriptors.

OTLP's JSON is protobuf's with exceptions (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): trace and
span ids are hexadecimal, enums are numbers, unknown fields are ignored. 64-bit integers come as strings or numbers. The
bytes are written straight from the parsed JSON, which is several times as fast as `google.protobuf.json_format`.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from struct import Struct
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanledger.ingest.records import varint
from spanledger.ingest.signals import Signal

_MAX_DEPTH = 90  # nested messages; the protobuf parser stops at 100
_HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}
_U64 = 2**64

# What OTLP counts: one that cannot be read is set aside, and its neighbours are kept.
_ITEMS = frozenset(
    {"Span", "LogRecord", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"}
)
_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"
_BOM = b"\xef\xbb\xbf"

Faults = list[str]  # why items were set aside, one text an item


# Appends the encoded field of a JSON value; then the depth, and where faults go (None: the first one is raised).
_Writer = Callable[[list[bytes], Any, int, Faults | None], None]


class BadJson(ValueError):
    """The body is not JSON, or a value has the wrong type; the message names the field."""


def to_protobuf(signal: Signal, body: bytes, faults: Faults | None = None) -> bytes:
    """The protobuf encoding of a JSON body. Raises BadJson.

    With `faults`, a span, log record or data point that cannot be read is left out and its reason appended there.
    """
    document = _parsed(body.removeprefix(_BOM))
    if not isinstance(document, dict):
        raise BadJson("the body must be a JSON object")
    return _encode(document, signal.descriptor, 0, faults)


def _parsed(body: bytes) -> Any:
    """The document. Half a surrogate pair and bytes that are not UTF-8 become U+FFFD; a bare NaN or Infinity, as Python
    and JavaScript libraries write them, is the number. Raises BadJson."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        try:
            return _whole_text(json.loads(body.decode("utf-8", "replace"), parse_constant=float))
        except (ValueError, RecursionError):
            raise BadJson(f"not JSON: {exc}") from exc


def _whole_text(value: Any) -> Any:
    """The value with U+FFFD for half a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole_text(key): _whole_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole_text(inner) for inner in value]
    return value


def _encode(document: dict[str, Any], descriptor: Descriptor, depth: int, faults: Faults | None) -> bytes:
    if depth > _MAX_DEPTH:
        raise BadJson(f"values are nested deeper than {_MAX_DEPTH} levels")
    writers = _WRITERS.get(descriptor.full_name)
    if writers is None:
        writers = _WRITERS[descriptor.full_name] = _writers(descriptor)
    out: list[bytes] = []
    for key, value in document.items():
        writer = writers.get(key)
        if writer is not None and value is not None:
            writer(out, value, depth, faults)
    return b"".join(out)


_WRITERS: dict[str, dict[str, _Writer]] = {}


def _writers(descriptor: Descriptor) -> dict[str, _Writer]:
    """The writer of each field under its JSON name and its proto name."""
    table: dict[str, _Writer] = {}
    for field in descriptor.fields:
        writer = _field_writer(field)
        table[field.json_name] = table[field.name] = writer
    if descriptor.full_name == _ANY_VALUE:
        table["intValue"] = table["int_value"] = _any_number(table)
    return table


def _any_number(writers: dict[str, _Writer]) -> _Writer:
    """An attribute's integer; one that 64 bits do not hold is kept as the number or text that it is."""
    write_integer, write_double, write_text = writers["intValue"], writers["doubleValue"], writers["stringValue"]

    def write(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        try:
            write_integer(out, value, depth, faults)
        except BadJson:
            if isinstance(value, float):
                write_double(out, value, depth, faults)
            elif _is_number(value):
                write_text(out, str(value), depth, faults)
            else:
                raise

    return write


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and Decimal(value).is_finite()
    except (InvalidOperation, TypeError, ValueError):
        return False


def _field_writer(field: FieldDescriptor) -> _Writer:
    one = _message_writer(field) if field.message_type is not None else _scalar_writer(field)
    if not field.is_repeated:
        return one
    name, message = field.json_name, field.message_type

    def write_all(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        for item in _array(name, value):
            one(out, item, depth, faults)

    if message is None:
        return write_all
    if message.name in _ITEMS:
        return _item_writer(name, one)
    # A null in a list is a value that is not there; in an array value it keeps the place of the others.
    empty: dict[str, Any] | None = {} if message.full_name == _ANY_VALUE else None

    def write_messages(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        for item in _array(name, value):
            if item is not None or empty is not None:
                one(out, empty if item is None else item, depth, faults)

    return write_messages


def _item_writer(name: str, one: _Writer) -> _Writer:
    def write(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        for item in _array(name, value):
            written = len(out)
            try:
                one(out, item, depth, faults)
            except BadJson as exc:
                if faults is None:
                    raise
                del out[written:]
                faults.append(f"{name}: {exc}")

    return write


def _array(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadJson(f"{name} must be an array")
    return value


def _message_writer(field: FieldDescriptor) -> _Writer:
    tag = varint(field.number << 3 | 2)
    descriptor, name = field.message_type, field.json_name
    assert descriptor is not None

    def write(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        if not isinstance(value, dict):
            raise BadJson(f"{name} must be an object")
        encoded = _encode(value, descriptor, depth + 1, faults)
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

    def write(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
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
