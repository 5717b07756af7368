"""Small bodies that would become much: refused before anything is made of them, while others are served."""

import asyncio
import gzip
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_make import trace_request
from spanledger.ingest import elements, spool
from spanledger.ingest.answers import Answer
from spanledger.ingest.door import Door
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.records import varint
from spanledger.ingest.room import Room
from spanledger.ingest.senders import Sender
from spanledger.ingest.signals import SIGNALS
from spanledger.ingest.turns import Turns

TRACES = SIGNALS["traces"]
GOOD_IDS = b"\x0a\x10" + b"a" * 16 + b"\x12\x08" + b"b" * 8


def field(number: int, *parts: bytes) -> bytes:
    """A length-delimited field."""
    body = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(body)) + body


def spans(body: bytes) -> bytes:
    return field(1, field(2, body))


def span(body: bytes) -> bytes:
    return spans(field(2, GOOD_IDS, body))


BOMBS: dict[str, Callable[[], bytes]] = {
    "empty spans": lambda: spans(b"\x12\x00" * 4_000_000),
    "short spans": lambda: spans(field(2, GOOD_IDS) * 1_000_000),
    "empty resources": lambda: b"\x0a\x00" * 4_000_000,
    "attributes of a span": lambda: span(b"\x4a\x00" * 4_000_000),
    "events of a span": lambda: span(b"\x5a\x00" * 4_000_000),
    "attributes of an event": lambda: span(field(11, b"\x1a\x00" * 4_000_000)),
    "links of a span": lambda: span(b"\x6a\x00" * 4_000_000),
    "values of an array": lambda: span(field(9, field(2, field(5, b"\x0a\x00" * 4_000_000)))),
    "entries of a map": lambda: span(field(9, field(2, field(6, b"\x0a\x00" * 4_000_000)))),
    "attributes over spans": lambda: spans(field(2, GOOD_IDS, b"\x4a\x00" * 1000) * 3_000),
    "attributes of a resource": lambda: field(1, field(1, b"\x0a\x00" * 4_000_000)),
    "ids of a span": lambda: span(b"\x0a\x00" * 4_000_000),
    "tags in more bytes than needed": lambda: spans(b"\x92\x00\x00" * 5_000_000),
}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    spool.prepare(tmp_path)
    writer = spool.Writer(tmp_path, durable=False, on_ready=lambda _: None)
    return Door(writer, Room(tmp_path, 10**9, 0), 64 * 1024**2, Masking(rules_of({}, ""), tmp_path))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_made_into_objects(door: Door, name: str) -> None:
    body = BOMBS[name]()
    packed = gzip.compress(body, 9)
    assert len(packed) < 120_000
    before, started = peak_bytes(), time.process_time()
    answer = door.accept(TRACES, packed, "protobuf", "gzip")
    assert answer.status == 413, answer
    assert time.process_time() - started < 10
    assert peak_bytes() - before < 150_000_000


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


JSON_BOMBS = {
    "empty objects": b'{"resourceSpans":[' + b"{}," * 4_000_000 + b"{}]}",
    "numbers": b'{"x":[' + b"1," * 4_000_000 + b"1]}",
    "lists": b'{"x":[' + b"[]," * 4_000_000 + b"[]]}",
}


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_a_bomb_in_json_is_refused_before_it_is_parsed(door: Door, name: str) -> None:
    started = time.process_time()
    assert door.accept(TRACES, gzip.compress(JSON_BOMBS[name]), "json", "gzip").status == 413
    assert time.process_time() - started < 5


def test_unknown_fields_are_not_looked_at_one_by_one(door: Door) -> None:
    started = time.process_time()
    assert door.accept(TRACES, span(b"\xc0\x3e\x01" * 10_000_000), "protobuf").status == 200
    assert time.process_time() - started < 5


def test_commas_within_text_are_no_values(door: Door) -> None:
    text = "one, two, [three], {four} " * 200_000
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","name":"%s"}]}]}]}'
    body %= (b"ab" * 16, b"cd" * 8, text.encode())
    assert door.accept(TRACES, body, "json").status == 200


def test_large_batches_of_usual_spans_are_taken(door: Door) -> None:
    attributes = {f"gen_ai.attribute.{number}": "a value of some length" for number in range(40)}
    one = trace_request({"attributes": attributes}, trace_id=os.urandom(16))
    usual = one.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    body = spans(field(2, usual) * 8_192)
    assert door.accept(TRACES, body, "protobuf") == Answer(200, accepted=8_192)


def test_one_long_text_is_no_crowd(door: Door) -> None:
    text = ('He said "J", \n and then: "Z, j" ' * 600_000).encode()
    assert door.accept(TRACES, span(field(9, field(1, b"k"), field(2, field(1, text)))), "protobuf").status == 200


@given(st.binary(max_size=400))
def test_whatever_is_sent_the_count_ends(body: bytes) -> None:
    for signal in SIGNALS.values():
        elements._Count(signal, body, all_of_it=True).walk(0, len(body), signal.descriptor)


def test_the_loop_goes_on_while_a_costly_body_is_read(door: Door) -> None:
    """And a sender of small bodies does not wait for one of large bodies."""
    one = b'{"key":"a","value":{"stringValue":"b"}}'
    costly = b'{"resourceSpans":[{"resource":{"attributes":[' + b",".join([one] * 60_000) + b"]}}]}"
    small = trace_request({}, trace_id=os.urandom(16)).SerializeToString()

    async def run() -> tuple[list[int], int, float]:
        loop = asyncio.get_running_loop()
        heavy = [loop.create_task(door.accept_in_turn(Sender("a"), TRACES, costly, "json")) for _ in range(2)]
        served, worst = 0, 0.0
        while not all(task.done() for task in heavy):
            started = loop.time()
            answer, _ = await door.accept_in_turn(Sender("b"), TRACES, small, "protobuf")
            assert answer.status == 200
            await asyncio.sleep(0.005)
            served, worst = served + 1, max(worst, loop.time() - started)
        return [task.result()[0].status for task in heavy], served, worst

    statuses, served, worst = asyncio.run(run())
    assert statuses == [413] * 2  # so many attributes are too many in one, as protobuf
    assert served > 10
    assert worst < 2


def test_the_sender_who_used_least_goes_first() -> None:
    async def run() -> list[str]:
        turns, order = Turns(), []

        def work(sender: str, seconds: float) -> None:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
            order.append(sender)

        tasks = [asyncio.create_task(turns.take("greedy", lambda: work("greedy", 0.05))) for _ in range(5)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(turns.take("modest", lambda: work("modest", 0.001))) for _ in range(3)]
        await asyncio.gather(*tasks)
        turns.close()
        return order

    order = asyncio.run(run())
    assert order[-3:] == ["greedy"] * 3
    assert sorted(order) == ["greedy"] * 5 + ["modest"] * 3
