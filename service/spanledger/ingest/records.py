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
class Scan:
    """What a segment holds: its intact records from the start on (offset, length; both with the length prefix) and
    whether anything follows them (a torn or damaged tail)."""

    records: list[tuple[int, int]]
    good_bytes: int
    torn: bool


def scan(data: bytes | memoryview) -> Scan:
    """Finds the intact records of a segment, up to the first that is torn or fails its checksum."""
    records: list[tuple[int, int]] = []
    view = memoryview(data)
    offset = 0
    for start, end in _spans(view):
        if not _intact(view[start:end]):
            break
        records.append((offset, end - offset))
        offset = end
    return Scan(records, offset, offset < len(view))


def _spans(view: memoryview) -> Iterator[tuple[int, int]]:
    """(start, end) of each message as the length prefixes say, while they fit."""
    offset, size = 0, len(view)
    while offset < size:
        length = shift = 0
        while True:
            if offset >= size or shift > 35:
                return
            byte = view[offset]
            offset += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if offset + length > size:
            return
        yield offset, offset + length
        offset += length


def _intact(message: memoryview) -> bool:
    if len(message) < _TRAILER:
        return False
    split = len(message) - _TRAILER
    if message[split : split + len(_CRC_TAG)] != _CRC_TAG:
        return False
    (stored,) = _FIXED32.unpack(message[-_FIXED32.size :])
    return bool(stored == zlib.crc32(message[:split]))
