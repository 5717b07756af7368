"""Reads a protobuf body piece by piece where it cannot be read as a whole: what cannot be read is left out, and its
neighbours are kept. Reasons are values nested deeper than the parser goes and bytes that are no message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from spanledger.ingest import lenient
from spanledger.ingest.probe import count_items
from spanledger.ingest.records import varint
from spanledger.ingest.signals import Signal

MOST_UNREADABLE = 1_000  # pieces; a body with more is no OTLP
_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}

# What stands around items is read field by field, everything else as one piece.
_FRAMES = frozenset(
    {f"{frame}{items}" for frame in ("Resource", "Scope") for items in ("Spans", "Logs", "Metrics")}
    | {"Resource", "InstrumentationScope"}
)


@dataclass
class Readable:
    """The part of a body that can be read; `rejected` items are no longer in it."""

    body: bytes = b""
    rejected: int = 0
    left_out: list[str] = field(default_factory=list)  # names of the fields that could not be read


def readable(signal: Signal, body: bytes) -> Readable | None:
    """What can be read of a body; None where it is broken as a whole."""
    found = Readable()
    try:
        found.body = _walk(signal, body, signal.descriptor, (), found)
    except DecodeError:
        return None
    return found


def _walk(signal: Signal, body: bytes, descriptor: Descriptor, path: tuple[int, ...], found: Readable) -> bytes:
    """The message without what cannot be read below it. Raises DecodeError where it is none."""
    kept: list[bytes] = []
    for number, start, begin, end in _fields(body):
        known = descriptor.fields_by_number.get(number)
        if begin is None or known is None or known.type != FieldDescriptor.TYPE_MESSAGE or known.message_type is None:
            kept.append(body[start:end])
            continue
        below, part = (*path, number), body[begin:end]
        try:
            if known.message_type.name in _FRAMES:
                part = _walk(signal, part, known.message_type, below, found)
            else:
                _parse(signal, _wrapped(part, below))
            kept += (varint(number << 3 | _SIZED), varint(len(part)), part)
        except (DecodeError, RecursionError):
            found.left_out.append(known.name)
            found.rejected += _items_in(signal, _wrapped(part, below))
            if len(found.left_out) > MOST_UNREADABLE:
                raise DecodeError("too much of it cannot be read") from None
    return b"".join(kept)


def _wrapped(part: bytes, path: tuple[int, ...]) -> bytes:
    """A request with this part alone: it is as deep as in its own body."""
    for number in reversed(path):
        part = varint(number << 3 | _SIZED) + varint(len(part)) + part
    return part


def _parse(signal: Signal, body: bytes) -> None:
    try:
        signal.request.FromString(body)
    except DecodeError:
        signal.request.FromString(lenient.repair_text(signal.name, body))


def _items_in(signal: Signal, body: bytes) -> int:
    try:
        return count_items(signal.name, body)
    except DecodeError:
        return 0


def _fields(body: bytes) -> Iterator[tuple[int, int, int | None, int]]:
    """Of each field its number, start, the start of its content if it has a length, and end. Raises DecodeError."""
    position = 0
    while position < len(body):
        start = position
        tag, position = _number(body, position)
        number, kind, begin = tag >> 3, tag & 7, None
        if kind == _VARINT:
            _, position = _number(body, position)
        elif kind == _SIZED:
            length, begin = _number(body, position)
            position = begin + length
        elif kind in _WIDTHS:
            position += _WIDTHS[kind]
        else:
            raise DecodeError("a field of an unknown form")
        if number == 0 or position > len(body):
            raise DecodeError("a field that ends behind its message")
        yield number, start, begin, position


def _number(body: bytes, position: int) -> tuple[int, int]:
    """A variable-length number and where it ends. Raises DecodeError."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(body):
            break
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DecodeError("a number without an end")
