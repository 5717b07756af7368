"""OTLP/JSON → protobuf bytes, driven by OTLP's own descriptors.

OTLP's JSON is protobuf's with exceptions (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): trace and
span ids are hexadecimal, enums are numbers, unknown fields are ignored. 64-bit integers come as strings or numbers. The
bytes are written straight from the parsed JSON, which is several times as fast as `google.protobuf.json_format`.

Two slips of exporters that leave no doubt are read, too: ids in base64 (protobuf's own JSON has them so; Swift's
exporter packs the hexadecimal text), and 64-bit integers as halves, `{"low": …, "high": …}` (JavaScript's 0.44).
"""

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from struct import Struct
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanledger.foreign import json_text, texts
from spanledger.ingest.records import varint
from spanledger.ingest.signals import Signal

_MAX_DEPTH = 90  # nested messages; the protobuf parser stops at 100
_MAX_ITEM_DEPTH = 16  # brackets around a body's items
_ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_U64 = 2**64

# What OTLP counts: one that cannot be read is set aside, and its neighbours are kept.
_ITEMS = frozenset(
    {"Span", "LogRecord", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"}
)
_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"
_BOM = b"\xef\xbb\xbf"

# What stands around items. A member of one that cannot be read is left out, and its neighbours are kept.
_FRAMES = frozenset(
    {f"{frame}{items}" for frame in ("Resource", "Scope") for items in ("Spans", "Logs", "Metrics")}
    | {"Resource", "InstrumentationScope"}
)
_LISTS_OF_ITEMS = frozenset({"spans", "logRecords", "log_records", "dataPoints", "data_points"})


@dataclass
class Faults:
    """What could not be read of a body: why, and how many items were set aside with it."""

    reasons: list[str] = field(default_factory=list)
    rejected: int = 0

    def attempt(self, out: list[bytes], name: str, items: Callable[[], int], write: Callable[[], None]) -> None:
        """Writes something, or leaves it out with its `items`."""
        written, reasons, rejected = len(out), len(self.reasons), self.rejected
        try:
            write()
        except BadJson as exc:
            del out[written:], self.reasons[reasons:]
            reason = str(exc)
            self.reasons.append(reason if reason.startswith(name) else f"{name}: {reason}")
            self.rejected = rejected + items()


# Appends the encoded field of a JSON value; then the depth, and where faults go (None: the first one is raised).
_Writer = Callable[[list[bytes], Any, int, Faults | None], None]


class BadJson(ValueError):
    """The body is not JSON, or a value has the wrong type; the message names the field."""


def to_protobuf(signal: Signal, body: bytes, faults: Faults | None = None) -> bytes:
    """The protobuf encoding of a JSON body. Raises BadJson.

    With `faults`, what cannot be read is left out and noted there: a span, log record or data point as a whole; of what
    stands around them the smallest part, for example one attribute of a resource.
    """
    document = _parsed(body.removeprefix(_BOM))
    if not isinstance(document, dict):
        raise BadJson("the body must be a JSON object")
    return _encode(document, signal.descriptor, 0, faults)


def _parsed(body: bytes) -> Any:
    """The document. Half a surrogate pair and bytes that are not UTF-8 become U+FFFD; what is nested too deeply is cut,
    to what is still deeper than _MAX_DEPTH. Raises BadJson."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        text = body.decode("utf-8", "replace")
        try:
            try:
                return _whole_text(json_text.loads(text))
            except RecursionError:
                return _whole_text(json_text.loads(text, is_deep=True))
        except ValueError:
            raise BadJson(f"not JSON: {exc}") from exc


def _whole_text(value: Any) -> Any:
    """The value with U+FFFD for half a surrogate pair."""
    if isinstance(value, str):
        return texts.whole(value)
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
    lenient = faults if descriptor.name in _FRAMES else None
    for key, value in document.items():
        writer = writers.get(key)
        if writer is None or value is None:
            continue
        if lenient is None:
            writer(out, value, depth, faults)
        else:
            items = partial(_items_in, {key: value})
            lenient.attempt(out, key, items, partial(writer, out, value, depth, faults))
    return b"".join(out)


def _one() -> int:
    return 1


def _items_in(value: Any, depth: int = 0) -> int:
    """How many items a part of a body seems to hold."""
    if depth > _MAX_ITEM_DEPTH:
        return 0
    if isinstance(value, list):
        return sum(_items_in(inner, depth + 1) for inner in value)
    if not isinstance(value, dict):
        return 0
    return sum(
        len(inner) if key in _LISTS_OF_ITEMS and isinstance(inner, list) else _items_in(inner, depth + 1)
        for key, inner in value.items()
    )


_WRITERS: dict[str, dict[str, _Writer]] = {}


def _writers(descriptor: Descriptor) -> dict[str, _Writer]:
    """The writer of each field under its JSON name and its proto name."""
    table: dict[str, _Writer] = {}
    for one in descriptor.fields:
        writer = _field_writer(one)
        table[one.json_name] = table[one.name] = writer
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
    # A null in a list is a value that is not there; in an array value it keeps the place of the others.
    empty: dict[str, Any] | None = {} if message.full_name == _ANY_VALUE else None
    is_item = message.name in _ITEMS
    # What counts as one thing is read as a whole, or not at all.
    is_whole = is_item or message.name == "KeyValue"

    def write_messages(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        for item in _array(name, value):
            given = empty if item is None else item
            if given is None and not is_item:
                continue
            if faults is None:
                one(out, given, depth, None)
            else:
                items = _one if is_item else partial(_items_in, given)
                faults.attempt(out, name, items, partial(one, out, given, depth, None if is_whole else faults))

    return write_messages


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
    if field.name in _ID_BYTES:
        encode = partial(_id, _ID_BYTES[field.name])
    elif field.enum_type is not None:
        names = {value.name: value.number for value in field.enum_type.values}

        def encode(value: Any) -> bytes:
            return _varint_signed(names.get(value, value) if isinstance(value, str) else value)

    tag, name = varint(field.number << 3 | wire_type), field.json_name

    def write(out: list[bytes], value: Any, depth: int, faults: Faults | None) -> None:
        try:
            out += (tag, encode(value))
        except (ValueError, TypeError) as exc:
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
    try:
        return _sized(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (ValueError, binascii.Error):
        raise ValueError("must be a base64 string") from None


def _id(size: int, value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("must be a hexadecimal string")
    try:
        if value.endswith("="):  # which no hexadecimal has
            return _sized(_unpacked_id(size, value))
        return _sized(bytes.fromhex(value))
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not hexadecimal") from None


def _unpacked_id(size: int, value: str) -> bytes:
    """An id in base64, as bytes or as hexadecimal text. Raises ValueError."""
    found = base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    found = bytes.fromhex(found.decode()) if len(found) == 2 * size else found
    if len(found) != size:
        raise ValueError
    return found


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, dict) and high > 2**32:
        value = _joined(value, low)
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise TypeError("must be an integer or a string of digits")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is not an integer")
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not an integer") from None
    if not low <= number <= high:
        raise ValueError(f"{str(number)[:40]} is out of range")
    return number


def _joined(halves: dict[str, Any], low: int) -> int:
    """A 64-bit integer of its halves, each of which may be written as a signed number. Raises ValueError."""
    upper, lower = (_integer(halves.get(half), -(2**31), 2**32 - 1) % 2**32 for half in ("high", "low"))
    number = upper << 32 | lower
    return number - _U64 if low < 0 and number >= 2**63 else number


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
    try:
        return _DOUBLE.pack(_SPECIAL[value] if isinstance(value, str) and value in _SPECIAL else float(value))
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:40]!r} is not a number that 64 bits hold") from None


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
