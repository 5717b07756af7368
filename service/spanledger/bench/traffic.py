"""OTLP requests for benchmarks, each unlike any before, at little cost to the sender.

A `Body` is one trace of `workload` many times over; ids, times, users and token counts are overwritten before each use.
"""

import base64
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from spanledger.bench.workload import RESOURCE, SCOPE, SPANS_PER_TRACE, fill, trace
from spanledger.ingest.records import varint

USERS = 10_000
_CONVERSATION_LENGTH = 4  # messages
_TOKENS = re.compile(rb"gen_ai\.usage\.(?:input|output)_tokens")
_BEFORE_NUMBER = {False: b"\x12\x03\x18", True: b'","value":{"intValue":"'}

Bytes = npt.NDArray[np.uint8]


class _Place(NamedTuple):
    """What stands at an offset of the trace: `name` says which value, equal names the same one."""

    offset: int
    name: str
    write: Callable[[Bytes], Bytes]  # random or counted bytes, a row a trace → the bytes as they stand in the body


class Body:
    """A request of `traces` traces."""

    def __init__(self, rng: random.Random, traces: int, as_json: bool = False) -> None:
        marks = _Marks(rng)
        resource = ResourceSpans()
        fill(resource.resource.attributes, RESOURCE)
        scope = ScopeSpans()
        scope.scope.name, scope.scope.version = SCOPE
        spans = trace(rng, marks)
        block = (_json_spans(spans) + b",") if as_json else spans.SerializeToString()
        self._places = list(marks.places(block, as_json))
        self._traces = np.tile(np.frombuffer(block, np.uint8), (traces, 1))
        self._random = np.random.default_rng(rng.randrange(2**63))
        self._wrap = _json_wrap(resource, scope) if as_json else _protobuf_wrap(resource, scope)
        self._lengths = {name: len(mark) for name, mark in marks.values.items()}
        self.spans = traces * SPANS_PER_TRACE

    @classmethod
    def single(cls) -> tuple[bytes, str]:
        """A request of one trace, and the trace's id."""
        body = cls(random.Random(), 1)
        data = body.fresh()
        offset = next(place.offset for place in body._places if place.name == "trace")
        return data, body._traces[0, offset : offset + 16].tobytes().hex()

    def fresh(self) -> bytes:
        """The body with ids that never occurred, and times just before now."""
        count = len(self._traces)
        values = {name: self._random.integers(0, 256, (count, n), np.uint8) for name, n in self._lengths.items()}
        conversations = values["conversation"]
        conversations[:] = conversations[np.arange(count) // _CONVERSATION_LENGTH]
        values["user"][:] = values["user"][np.arange(count) // _CONVERSATION_LENGTH]
        ended = time.time_ns() - self._random.integers(0, 10**8, count)
        for number in range(2 * SPANS_PER_TRACE):
            moment = ended - (2 * SPANS_PER_TRACE - number) * 10_000_019 - self._random.integers(0, 10**7, count)
            values[f"time{number}"] = moment.astype("<i8").view(np.uint8).reshape(count, 8)
        for place in self._places:
            written = place.write(values[place.name])
            self._traces[:, place.offset : place.offset + written.shape[1]] = written
        return self._wrap(self._traces.tobytes())


class _Marks:
    """Values that stand out in an encoded trace, so that what is to be overwritten can be found there."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.values: dict[str, bytes] = {}
        self._times: dict[str, int] = {}
        self._texts: set[str] = set()

    def id(self, name: str, length: int) -> bytes:
        return self.values.setdefault(name, self._rng.randbytes(length))

    def text(self, name: str, length: int) -> str:
        self._texts.add(name)
        return self.id(name, length).hex()

    def user(self) -> str:
        self.values["user"] = bytes(2)
        return "user-#####"

    def time(self, number: int) -> int:
        return self._times.setdefault(f"time{number}", 1_700_000_000_000_000_000 + self._rng.randrange(10**17))

    def places(self, block: bytes, as_json: bool) -> Iterator[_Place]:
        for name, mark in self.values.items():
            if name != "user":
                text = as_json or name in self._texts
                yield from _found(block, mark.hex().encode() if text else mark, name, _hex if text else _as_is)
        for name, moment in self._times.items():
            mark = str(moment).encode() if as_json else moment.to_bytes(8, "little")
            yield from _found(block, mark, name, _nanoseconds if as_json else _as_is)
        yield from _found(block, b"#####", "user", _user)
        for number, found in enumerate(_TOKENS.finditer(block)):
            name = f"tokens{number}"
            self.values[name] = bytes(2)
            yield _Place(found.end() + len(_BEFORE_NUMBER[as_json]), name, _digits if as_json else _varint)


def _found(block: bytes, mark: bytes, name: str, write: Callable[[Bytes], Bytes]) -> Iterator[_Place]:
    for found in re.finditer(re.escape(mark), block):
        yield _Place(found.start(), name, write)


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def _as_is(value: Bytes) -> Bytes:
    return value


def _hex(value: Bytes) -> Bytes:
    return _HEX[np.stack((value >> 4, value & 15), axis=-1)].reshape(len(value), -1)


def _varint(value: Bytes) -> Bytes:
    """Two bytes: 128 to 2,175 tokens."""
    return np.stack((value[:, 0] | 0x80, (value[:, 1] & 0x0F) + 1), axis=-1)


def _decimal(numbers: npt.NDArray[np.int64], digits: int) -> Bytes:
    powers = 10 ** np.arange(digits - 1, -1, -1, dtype=np.int64)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _digits(value: Bytes) -> Bytes:
    return _decimal(1000 + value[:, 0].astype(np.int64) * 8, 4)


def _user(value: Bytes) -> Bytes:
    return _decimal((value[:, 0].astype(np.int64) * 256 + value[:, 1]) % USERS, 5)


def _nanoseconds(value: Bytes) -> Bytes:
    return _decimal(value.copy().view("<i8")[:, 0], 19)


def _protobuf_wrap(resource: ResourceSpans, scope: ScopeSpans) -> Callable[[bytes], bytes]:
    of_resource, of_scope = resource.SerializeToString(), scope.SerializeToString()

    def wrap(spans: bytes) -> bytes:
        head = of_resource + b"\x12" + varint(len(of_scope) + len(spans)) + of_scope
        return b"".join((b"\x0a", varint(len(head) + len(spans)), head, spans))

    return wrap


def _json_wrap(resource: ResourceSpans, scope: ScopeSpans) -> Callable[[bytes], bytes]:
    document = json_format.MessageToDict(resource) | {"scopeSpans": [json_format.MessageToDict(scope) | {"spans": []}]}
    head, tail = json.dumps({"resourceSpans": [document]}, separators=(",", ":")).encode().split(b'"spans":[')
    return lambda spans: b"".join((head, b'"spans":[', spans[:-1], tail))


def _json_spans(trace: ScopeSpans) -> bytes:
    """The spans of a trace as JSON, without the brackets of their array."""
    spans = json_format.MessageToDict(trace, use_integers_for_enums=True)["spans"]
    for span in spans:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64decode(span[name]).hex()
    return json.dumps(spans, separators=(",", ":")).encode()[1:-1]
