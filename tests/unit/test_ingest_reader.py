"""The reader process returns the same result as the door, and the door replaces it when it ends."""

import asyncio
import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from otlp_make import trace_request
from spanledger.ingest import spool
from spanledger.ingest.answers import Answer
from spanledger.ingest.bodies import Bodies, Ready
from spanledger.ingest.door import Door
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.reader import Reader
from spanledger.ingest.room import Room
from spanledger.ingest.senders import Sender
from spanledger.ingest.signals import TRACES

MOST = 64 * 1024**2
MASKS = {"email": "drop"}
GOOD = trace_request({"attributes": {"gen_ai.request.model": "m"}}, trace_id=os.urandom(16)).SerializeToString()

OURS = trace_request({})
OURS.resource_spans[0].scope_spans[0].scope.name = "spanledger.chat"


def spans_json(count: int, attributes: int) -> bytes:
    pairs = [{"key": f"k{number}", "value": {"stringValue": "v" * 40}} for number in range(attributes)]
    spans = [{"traceId": "ab" * 16, "spanId": f"{n + 1:016x}", "name": "x", "attributes": pairs} for n in range(count)]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


BODIES = {
    "JSON": (spans_json(300, 20), "json", ""),
    "packed JSON": (gzip.compress(spans_json(300, 20)), "json", "gzip"),
    "JSON that is none": (b"{" * 300_000, "json", ""),
    "JSON with one bad span": (spans_json(300, 20).replace(b'"ab', b'"zz', 1), "json", ""),
    "protobuf": (GOOD, "protobuf", ""),
    "bytes that are no text": (GOOD.replace(b"gen_ai", b"g\xffn_ai"), "protobuf", ""),
    "broken protobuf": (b"\x0a\xff" * 200_000, "protobuf", ""),
    "an encoding of nobody": (GOOD, "protobuf", "br"),
    "a text to mask": (trace_request({"attributes": {"k": "to a@b.example"}}).SerializeToString(), "protobuf", ""),
    "a scope of ours": (OURS.SerializeToString(), "protobuf", ""),
    "too many": (b"\x0a\x00" * 4_000_000, "protobuf", ""),
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader([str(MOST), str(tmp_path), json.dumps(MASKS), ""])
    yield reader
    reader.close()


def test_it_reads_as_the_door_does(reader: Reader, tmp_path: Path) -> None:
    bodies = Bodies(MOST, Masking(rules_of(MASKS, ""), tmp_path))
    for name, (body, encoding, content_encoding) in BODIES.items():
        there, here = (one(TRACES, body, encoding, content_encoding) for one in (reader.read, bodies.read))
        assert there == here, name
    assert reader.cpu_s() > 0


def test_a_process_that_has_ended_is_replaced(reader: Reader) -> None:
    assert reader.pid() == 0  # none before the first body
    assert isinstance(reader.read(TRACES, GOOD, "protobuf", ""), Ready)
    first = reader.pid()
    os.kill(first, signal.SIGKILL)
    assert isinstance(reader.read(TRACES, GOOD, "protobuf", ""), Ready)
    assert reader.pid() != first


def test_a_body_that_the_process_does_not_survive_is_refused(tmp_path: Path) -> None:
    """These arguments stop the process at its start."""
    reader = Reader(["no number", str(tmp_path), "{}", ""])
    finding = reader.read(TRACES, GOOD, "protobuf", "")
    assert isinstance(finding, Answer)
    assert finding.status == 413


def test_the_event_loop_answers_while_the_process_parses(reader: Reader, tmp_path: Path) -> None:
    """A thread that parses 12 MB of JSON holds the interpreter's lock for half a second; a process does not."""
    spool.prepare(tmp_path)
    writer = spool.Writer(tmp_path, durable=False, on_ready=lambda _: None)
    door = Door(writer, Room(tmp_path, 10**9, 0), MOST, Masking(rules_of({}, ""), tmp_path), reader)
    costly = spans_json(6_000, 20)
    reader.read(TRACES, GOOD, "protobuf", "")  # it has started

    async def run() -> tuple[Answer, int]:
        heavy = asyncio.create_task(door.accept_in_turn(Sender("a"), TRACES, gzip.compress(costly, 1), "json", "gzip"))
        served = 0
        while not heavy.done():
            answer, _ = await door.accept_in_turn(Sender("b"), TRACES, GOOD, "protobuf")
            assert answer.status == 200
            served += 1
            await asyncio.sleep(0)
        return heavy.result()[0], served

    answer, served = asyncio.run(run())
    assert answer == Answer(200, accepted=6_000)
    assert served > 100
