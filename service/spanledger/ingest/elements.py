"""Counts the elements of a request body before it is parsed.

An empty span has two bytes, takes hundreds of bytes when it is parsed, and thousands when a stored one is read. So the
number of elements is limited, like the number of bytes. Two cheap upper bounds come first: a body has at most half as
many elements as bytes, and an element begins with one of a few byte values. A body above both bounds is walked through.
"""

import re
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanledger.ingest.signals import Signal

MOST = 2_000_000  # length-delimited fields of a request: messages, strings, bytes
MOST_ITEMS = 100_000  # spans, log records, metrics
MOST_IN_ONE = 200_000  # fields of one span, log record, metric, resource or scope: about 50,000 attributes
MOST_JSON = 1_000_000  # values of a JSON body
LIGHT = 30_000  # a body with fewer costs some milliseconds

# Tags of the fields that repeat, in all messages of OTLP, and of the strings and values inside of attributes.
# A tag may be written in more bytes than it needs; its first then has the highest bit set.
_FIELDS = {"traces": (1, 2, 3, 4, 9, 11, 13), "logs": (1, 2, 6), "metrics": (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)}
_TAGS = {
    name: bytes(number << 3 | 2 | high for number in numbers for high in (0, 0x80)) for name, numbers in _FIELDS.items()
}
_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ITEMS = {"spans", "log_records", "metrics"}
_LONE = {"resource", "scope"}  # messages whose fields are bounded like an item's


class TooMany(ValueError):
    """The body holds more than is read."""


def at_most(signal: Signal, body: bytes, is_json: bool) -> int:
    """An upper bound of the elements in a body, from the bytes that elements begin with."""
    if is_json:
        return body.count(b",") + body.count(b"{") + body.count(b"[")
    return min(len(body) // 2, _candidates(signal, body))


def check_json(body: bytes) -> None:
    """Raises TooMany."""
    if body.count(b",") + body.count(b"{") + body.count(b"[") <= MOST_JSON:
        return
    bare = _JSON_STRING.sub(b"", body)
    if bare.count(b",") + bare.count(b"{") + bare.count(b"[") > MOST_JSON:
        raise TooMany(f"more than {MOST_JSON:,} JSON values; send smaller batches")


def check(signal: Signal, body: bytes) -> None:
    """Bounds a protobuf body. Raises TooMany. What is malformed passes: the parser says so."""
    if len(body) // 2 <= MOST_ITEMS:
        return
    bound = at_most(signal, body, False)
    if bound > MOST_ITEMS:
        _Count(signal, body, all_of_it=bound > MOST).walk(0, len(body), signal.descriptor)


def _candidates(signal: Signal, body: bytes) -> int:
    return len(body) - len(body.translate(None, _TAGS[signal.name]))


class _Count:
    def __init__(self, signal: Signal, body: bytes, all_of_it: bool) -> None:
        self._signal, self._body, self._all_of_it = signal, body, all_of_it
        self._items = self._fields = 0

    def walk(self, position: int, end: int, descriptor: Descriptor) -> None:
        """The messages down to the items; what is inside of an item is looked at when it could be too much."""
        children = _children(descriptor)
        for number, start, stop in _length_delimited(self._body, position, end, MOST_ITEMS):
            self._count(1)
            child = children.get(number)
            if child is None:
                continue
            name, below = child
            if name in _ITEMS:
                self._items += 1
                if self._items > MOST_ITEMS:
                    raise TooMany(f"more than {MOST_ITEMS:,} {self._signal.items}; send smaller batches")
            if name in _ITEMS or name in _LONE:
                self._look_inside(start, stop, below)
            else:
                self.walk(start, stop, below)

    def _look_inside(self, start: int, stop: int, descriptor: Descriptor) -> None:
        suspect = stop - start > 2 * MOST_IN_ONE and _candidates(self._signal, self._body[start:stop]) > MOST_IN_ONE
        if not suspect and not self._all_of_it:
            return
        before = self._fields
        stack = [(start, stop, descriptor)]
        while stack:
            position, end, message = stack.pop()
            children = _children(message)
            for number, begin, after in _length_delimited(self._body, position, end, MOST_IN_ONE):
                self._count(1)
                if self._fields - before > MOST_IN_ONE:
                    raise TooMany(f"more than {MOST_IN_ONE:,} attributes, events and values in one; split it")
                if number in children:
                    stack.append((begin, after, children[number][1]))

    def _count(self, more: int) -> None:
        self._fields += more
        if self._fields > MOST:
            raise TooMany(f"more than {MOST:,} values; send smaller batches")


@cache
def _children(descriptor: Descriptor) -> dict[int, tuple[str, Descriptor]]:
    """The fields of a message that are messages."""
    return {
        field.number: (field.name, field.message_type)
        for field in descriptor.fields
        if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None
    }


def _length_delimited(body: bytes, position: int, end: int, most: int) -> list[tuple[int, int, int]]:
    """(number, start, end) of each field with a length, to where the wire format is broken. Raises TooMany."""
    found: list[tuple[int, int, int]] = []
    try:
        while position < end:
            tag = body[position]
            position += 1
            if tag > 0x7F:
                tag, position = _varint(body, position - 1)
            kind = tag & 7
            if kind == 2:
                length = body[position]
                position += 1
                if length > 0x7F:
                    length, position = _varint(body, position - 1)
                if position + length > end:
                    break
                found.append((tag >> 3, position, position + length))
                if len(found) > most:
                    raise TooMany(f"more than {most:,} fields in one message; split it")
                position += length
            elif kind == 0:
                _, position = _varint(body, position)
            elif kind in _FIXED:
                position += _FIXED[kind]
            else:
                break
    except IndexError:  # it ends within a number
        pass
    return found


_FIXED = {1: 8, 5: 4}


def _varint(body: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 70:
        byte = body[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    raise IndexError
