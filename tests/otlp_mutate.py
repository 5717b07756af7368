"""Damages OTLP bodies: at random, and knowing their structure, so that damage sits deep inside a well-formed shell."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from spanledger.ingest.records import varint

Field = tuple[int, int, bytes]  # number, wire type, payload without tag (and without length, for wire type 2)


def protobuf(body: bytes, rng: random.Random) -> bytes:
    """A damaged copy of a protobuf body."""
    for _ in range(rng.randint(1, 3)):
        body = rng.choice((_bytes, _structure, _structure, _structure))(body, rng)
    return body


def as_json(body: bytes, rng: random.Random) -> bytes:
    """A damaged copy of a JSON body."""
    if rng.random() < 0.3:
        return _bytes(body, rng)
    document = json.loads(body)
    for _ in range(rng.randint(1, 3)):
        _spoil(document, rng)
    return json.dumps(document).encode()


def _bytes(body: bytes, rng: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.randint(0, 8))
        match rng.randrange(5):
            case 0 if start < len(data):
                data[start] ^= 1 << rng.randrange(8)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = rng.randbytes(rng.randint(1, 8))
            case 3:
                data[start:start] = data[start:end]
            case _:
                del data[start:]
    return bytes(data)


def _structure(body: bytes, rng: random.Random) -> bytes:
    """Changes one field somewhere below and puts the lengths right again."""
    fields = _parse(body)
    if not fields:
        return rng.randbytes(rng.randint(0, 12))
    index = rng.randrange(len(fields))
    number, wire_type, payload = fields[index]
    if wire_type == 2 and payload and rng.random() < 0.8:
        fields[index] = (number, 2, _structure(payload, rng))
    else:
        rng.choice(_DAMAGES)(fields, index, rng)
    return b"".join(_field(*field) for field in fields)


def _retype(fields: list[Field], index: int, rng: random.Random) -> None:
    number = fields[index][0]
    wire_type, payload = rng.choice([(0, varint(rng.getrandbits(63))), (1, rng.randbytes(8)), (5, rng.randbytes(4))])
    fields[index] = (number, wire_type, payload)


def _renumber(fields: list[Field], index: int, rng: random.Random) -> None:
    _, wire_type, payload = fields[index]
    fields[index] = (rng.choice([1, 2, 3, 5, 7, 9, 16, 5001, 5002, 5003, 2**29 - 1]), wire_type, payload)


def _repeat(fields: list[Field], index: int, rng: random.Random) -> None:
    fields[index:index] = [fields[index]] * rng.choice([1, 2, 50])


def _drop(fields: list[Field], index: int, rng: random.Random) -> None:
    del fields[index]


def _refill(fields: list[Field], index: int, rng: random.Random) -> None:
    number, _, _ = fields[index]
    fields[index] = (number, 2, rng.choice([b"", b"\xff" * 20, rng.randbytes(16), b"\x0a" * 9, bytes(8), b"a" * 5000]))


def _swap(fields: list[Field], index: int, rng: random.Random) -> None:
    rng.shuffle(fields)


def _group(fields: list[Field], index: int, rng: random.Random) -> None:
    number = fields[index][0]
    fields[index : index + 1] = [(number, 3, b""), (1, 0, b"\x05"), (number, 4, b"")][: rng.choice([1, 3, 3])]


def _long_varint(fields: list[Field], index: int, rng: random.Random) -> None:
    fields[index] = (fields[index][0], 0, b"\xff" * rng.choice([9, 10, 11]) + b"\x01")


_DAMAGES: tuple[Callable[[list[Field], int, random.Random], None], ...] = (
    *(_retype, _renumber, _repeat, _drop, _refill, _swap, _group, _long_varint),
)


def _field(number: int, wire_type: int, payload: bytes) -> bytes:
    length = varint(len(payload)) if wire_type == 2 else b""
    return varint(number << 3 | wire_type) + length + payload


def _parse(body: bytes) -> list[Field]:
    """The fields of a message; nothing when it is not one."""
    fields: list[Field] = []
    position = 0
    try:
        while position < len(body):
            tag, position = _read_varint(body, position)
            number, wire_type = tag >> 3, tag & 7
            start = position
            match wire_type:
                case 0:
                    _, position = _read_varint(body, position)
                case 1 | 5:
                    position += 8 if wire_type == 1 else 4
                case 2:
                    length, start = _read_varint(body, position)
                    position = start + length
                case _:
                    return []
            if position > len(body) or not number:
                return []
            fields.append((number, wire_type, body[start:position]))
    except IndexError:
        return []
    return fields


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


_STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 2**64, 1.5, "", "zz", "00" * 16, "NaN", [], {}, [[]], {"a": {"b": []}}, "\ud800"),
)


def _spoil(node: Any, rng: random.Random) -> None:
    """Replaces, drops or repeats something below a JSON node."""
    keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
        _spoil(node[key], rng)
    elif rng.random() < 0.2:
        del node[key]
    elif isinstance(node, list) and rng.random() < 0.3:
        node.extend([node[key]] * 20)
    else:
        node[key] = copy.deepcopy(rng.choice(_STRANGE))
