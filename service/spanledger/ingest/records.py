"""The spool's record: one request body that ClickHouse can read back as it stands.

A segment is a sequence of `varint(length) + message`, which is ClickHouse's `Protobuf` format. The message is the
sender's OTLP body followed by three fields of our own (protobuf messages concatenate), so that one write stores body,
meta and checksum:

    5001 fixed64 received_at_ms     5002 string tenant     5003 fixed32 crc32 of everything before this field
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

RECEIVED_FIELD, TENANT_FIELD, CRC_FIELD = 5001, 5002, 5003
OWN_FIELDS = frozenset({RECEIVED_FIELD, TENANT_FIELD, CRC_FIELD})

_FIXED64 = Struct("<Q")
_FIXED32 = Struct("<I")


def varint(number: int) -> bytes:
    """A non-negative integer as a protobuf varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_RECEIVED_TAG = varint(RECEIVED_FIELD << 3 | 1)
_TENANT_TAG = varint(TENANT_FIELD << 3 | 2)
_CRC_TAG = varint(CRC_FIELD << 3 | 5)
_TRAILER = len(_CRC_TAG) + _FIXED32.size


def frame(body: bytes, received_at_ms: int, tenant: str) -> list[bytes]:
    """The record of a body as buffers for one gathered write."""
    name = tenant.encode()
    meta = b"".join((_RECEIVED_TAG, _FIXED64.pack(received_at_ms), _TENANT_TAG, varint(len(name)), name))
    crc = zlib.crc32(meta, zlib.crc32(body))
    length = len(body) + len(meta) + _TRAILER
    return [varint(length), body, meta + _CRC_TAG + _FIXED32.pack(crc)]


@dataclass(frozen=True)
class Record:
    """What `frame` was given."""

    body: bytes
    received_at_ms: int
    tenant: str


def unframe(record: bytes) -> Record:
    """Takes an intact record apart. Raises ValueError when the body is no protobuf."""
    view = memoryview(record)
    view = view[_varint_at(view, 0)[1] :]
    end = _own_fields(view)
    received = end + len(_RECEIVED_TAG)
    tenant = received + _FIXED64.size + len(_TENANT_TAG)
    length, start = _varint_at(view, tenant)
    (received_at_ms,) = _FIXED64.unpack(view[received : received + _FIXED64.size])
    return Record(bytes(view[:end]), received_at_ms, bytes(view[start : start + length]).decode())


def _own_fields(view: memoryview) -> int:
    """Where the body ends: at our first field, which no body has (the door takes such fields out)."""
    offset = 0
    while offset < len(view):
        tag, start = _varint_at(view, offset)
        if tag >> 3 == RECEIVED_FIELD:
            return offset
        offset = _after_value(view, start, tag & 7)
    raise ValueError("there are no fields of the spool in it")


def _after_value(view: memoryview, start: int, wire_type: int) -> int:
    """Where a value that starts there ends."""
    match wire_type:
        case 0:
            return _varint_at(view, start)[1]
        case 1:
            return start + 8
        case 2:
            length, start = _varint_at(view, start)
            return start + length
        case 5:
            return start + 4
        case _:
            raise ValueError(f"wire type {wire_type} at {start}")


@dataclass(frozen=True)
class Scan:
    """What a segment holds: intact records, and what is torn or damaged. Both (offset, length), with length prefix."""

    records: list[tuple[int, int]]
    damaged: list[tuple[int, int]]


def scan(data: bytes | memoryview) -> Scan:
    """Finds the intact records of a segment.

    A damaged one is stepped over while its checksum stands where its length says: only then is the length to be
    believed, and what follows it not the inside of a body, which a sender could have made look like a record.
    """
    found = Scan([], [])
    view = memoryview(data)
    offset = 0
    for start, end in _spans(view):
        if _intact(view[start:end]):
            found.records.append((offset, end - offset))
        elif _closed(view[start:end]):
            found.damaged.append((offset, end - offset))
        else:
            break
        offset = end
    if offset < len(view):
        found.damaged.append((offset, len(view) - offset))
    return found


def messages(data: bytes) -> Iterator[bytes]:
    """The message of each record as its length says, with our own fields."""
    view = memoryview(data)
    for start, end in _spans(view):
        yield bytes(view[start:end])


def _spans(view: memoryview) -> Iterator[tuple[int, int]]:
    """(start, end) of each message as the length prefixes say, while they fit."""
    offset, size = 0, len(view)
    while offset < size:
        try:
            length, start = _varint_at(view, offset)
        except ValueError:
            return
        offset = start + length
        if offset > size:
            return
        yield start, offset


def _varint_at(view: memoryview, offset: int) -> tuple[int, int]:
    """The number at an offset and where it ends. Raises ValueError when there is none."""
    number = shift = 0
    while True:
        if offset >= len(view) or shift > 35:
            raise ValueError(f"no number at {offset}")
        byte = view[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, offset


def _closed(message: memoryview) -> bool:
    """Whether a checksum ends it."""
    return len(message) >= _TRAILER and message[-_TRAILER : -_FIXED32.size] == _CRC_TAG


def _intact(message: memoryview) -> bool:
    if not _closed(message):
        return False
    (stored,) = _FIXED32.unpack(message[-_FIXED32.size :])
    return bool(stored == zlib.crc32(message[:-_TRAILER]))
