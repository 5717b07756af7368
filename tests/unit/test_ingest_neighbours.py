"""One value that cannot be read costs its span, log record or data point, and none of its neighbours."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spanledger.ingest import spool
from spanledger.ingest.door import Door
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.records import varint
from spanledger.ingest.room import Room
from spanledger.ingest.signals import LOGS, METRICS, TRACES, Signal

KEPT = "neighbour that is kept"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    spool.prepare(tmp_path)
    writer = spool.Writer(tmp_path, durable=False, on_ready=lambda _: None)
    return Door(writer, Room(tmp_path, 10**9, 0), 64 * 1024**2, Masking(rules_of({}, ""), tmp_path))


def stored(tmp_path: Path) -> bytes:
    files = sorted(path for path in spool.folder(tmp_path, "traces").parent.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files)


def nested_json(depth: int, kind: str = "array") -> str:
    if kind == "array":
        return '{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth
    return '{"kvlistValue":{"values":[{"key":"a","value":' * depth + '{"intValue":"1"}' + "}]}}" * depth


def span_json(value: str = "null", name: str = "odd") -> str:
    attributes = f'[{{"key":"k","value":{value}}}]'
    return f'{{"traceId":"{"ab" * 16}","spanId":"{"cd" * 8}","name":"{name}","attributes":{attributes}}}'


def body_json(*spans: str, resource: str = "{}") -> bytes:
    all_spans = ",".join([span_json(name=KEPT), *spans, span_json(name="the last one")])
    return f'{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{all_spans}]}}]}}]}}'.encode()


HALF = '{"stringValue":"half \\ud83d"}'
JSON_BODIES: dict[str, tuple[bytes, int]] = {  # and how many spans are rejected
    "digits without end": (body_json(span_json('{"intValue":' + "9" * 5000 + "}")), 0),
    "a fraction without end": (body_json(span_json('{"doubleValue":0.' + "9" * 5000 + "}")), 0),
    "digits in a time": (body_json(span_json().replace('"name"', f'"startTimeUnixNano":{"9" * 5000},"name"')), 1),
    "nested 80 times": (body_json(span_json(nested_json(80))), 1),
    "nested 1,000 times": (body_json(span_json(nested_json(1000))), 1),
    "maps nested 100,000 times": (body_json(span_json(nested_json(100_000, "map"))), 1),
    "nested beside half a surrogate": (body_json(span_json(HALF), span_json(nested_json(250))), 1),
    "an unknown field nested 5,000 times": (body_json(span_json()[:-1] + ',"x":' + "[" * 5000 + "]" * 5000 + "}"), 0),
    "a span that is 5,000 arrays": (body_json("[" * 5000 + "]" * 5000), 1),
    "a resource nested 250 times": (
        body_json(resource=f'{{"attributes":[{{"key":"k","value":{nested_json(250)}}}]}}'),
        0,
    ),
    "a text with brackets and a nested value": (
        body_json(span_json(nested_json(2000)), span_json('{"stringValue":"' + '[\\"{\\\\' * 500 + '"}')),
        1,
    ),
}


@pytest.mark.parametrize("name", JSON_BODIES)
def test_json_without_end_costs_no_neighbour(name: str, door: Door, tmp_path: Path) -> None:
    body, rejected = JSON_BODIES[name]
    answer = door.accept(TRACES, body, "json", "")
    assert (answer.status, answer.rejected) == (200, rejected), answer
    assert answer.accepted >= 2
    assert KEPT.encode() in stored(tmp_path)
    assert b"the last one" in stored(tmp_path)


def test_what_is_not_closed_is_no_json(door: Door) -> None:
    for body in (b"[" * 100_000, b'{"a":' * 5000, body_json(span_json(nested_json(2000)))[:-2]):
        answer = door.accept(TRACES, body, "json", "")
        assert (answer.status, "not JSON" in answer.message) == (400, True)


def field(number: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(body)) + body


def nested(depth: int) -> bytes:
    """An attribute."""
    value = field(1, b"x")
    for _ in range(depth):
        value = field(5, field(1, value))
    return field(1, b"k") + field(2, value)


IDS = field(1, b"\x01" * 16) + field(2, b"\x02" * 8)
TIME = b"\x11" + (5).to_bytes(8, "little")
POINTS = field(2, b"\x31" + b"\x01" * 8, b"\x19" + b"\x05" * 8)


def wrapped(*items: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    scopes = field(2, field(1, scope) if scope else b"", *(field(2, item) for item in items))
    return field(1, field(1, resource) if resource else b"", scopes)


def spans(*attributes: bytes) -> bytes:
    return wrapped(*(field(5, KEPT.encode()) + IDS + (field(9, one) if one else b"") for one in (b"", *attributes)))


CUT = b"\x0a\x7f"  # a field that ends behind its message
PROTOBUF_BODIES: dict[str, tuple[Signal, Callable[[], bytes], int, int]] = {  # kept, rejected
    "a span nested 60 times": (TRACES, lambda: spans(nested(60), b""), 2, 1),
    "a span nested 30,000 times": (TRACES, lambda: spans(nested(30_000), b"", nested(60)), 2, 2),
    "a span cut short": (TRACES, lambda: wrapped(IDS + CUT, IDS + field(5, KEPT.encode())), 1, 1),
    "a span of another wire form": (TRACES, lambda: wrapped(b"\x0c" + IDS, IDS + field(5, KEPT.encode())), 1, 1),
    "beside text that is not UTF-8": (TRACES, lambda: wrapped(IDS + field(5, b"\xff"), IDS + CUT, IDS), 2, 1),
    "beside a span without ids": (TRACES, lambda: wrapped(field(5, b"x"), IDS + CUT, IDS), 1, 2),
    "a resource's attribute": (TRACES, lambda: wrapped(IDS, resource=field(1, nested(60))), 1, 0),
    "a scope": (TRACES, lambda: wrapped(IDS, scope=CUT), 1, 0),
    "a group of spans": (TRACES, lambda: wrapped(IDS) + field(1, field(2, CUT)), 1, 0),
    "a log record": (LOGS, lambda: wrapped(field(6, nested(60)), field(5, field(1, b"kept"))), 1, 1),
    "a metric's name": (METRICS, lambda: wrapped(field(1, b"m") + field(5, field(1, POINTS, POINTS), CUT)), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOBUF_BODIES)
def test_protobuf_that_cannot_be_read_costs_no_neighbour(name: str, door: Door) -> None:
    signal, make, kept, rejected = PROTOBUF_BODIES[name]
    answer = door.accept(signal, make(), "protobuf", "")
    assert (answer.status, answer.accepted, answer.rejected) == (200 if kept else 400, kept, rejected), answer
    assert bool(answer.message)


def test_a_body_of_nothing_that_can_be_read_is_malformed(door: Door) -> None:
    answer = door.accept(TRACES, wrapped(*[IDS + CUT] * 3), "protobuf", "")
    assert (answer.status, answer.accepted) == (400, 0)
    assert door.accept(TRACES, wrapped(IDS, *[IDS + CUT] * 5000), "protobuf", "").status == 400
