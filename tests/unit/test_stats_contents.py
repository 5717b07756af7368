"""What was said in a conversation: each text once, and never more than an answer has room for."""

import json
from collections.abc import Callable

import pytest

from ledger_rows import NOON, SECOND, Post, write_rows
from spanledger.analysis.content import of_spans
from spanledger.stats import contents as stats
from spanledger.stats.times import Window
from spanledger.store.client import Store

Say = Callable[..., None]


@pytest.fixture
def say(store: Store, tenant: str, tell: Post) -> Say:
    """One message: its trace has one call that carries what it was asked and what it answered."""

    def _say(number: int, asked: str, answered: str, conversation_id: str = "c") -> None:
        trace_id, at = f"{tenant}-{number}", NOON + number * SECOND
        tell(f"m{number}", conversation_id=conversation_id, trace_id=trace_id, started_at=at)
        carried = {"gen_ai.input.messages": ("user", asked), "gen_ai.output.messages": ("assistant", answered)}
        span = {
            "Timestamp": at,
            "TraceId": trace_id,
            "SpanId": f"s{number}",
            "SpanName": "chat",
            "Tenant": tenant,
            "SpanAttributes": {
                key: json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
                for key, (role, text) in carried.items()
            },
        }
        write_rows(store, "otel_traces", [span])

    return _say


def test_each_message_with_what_was_asked_and_answered(store: Store, tenant: str, say: Say) -> None:
    say(1, "how many stars?", "many")
    say(2, "and moons?", "few")
    found = stats.contents(store, tenant, "c")
    texts = [[(piece.role, piece.text) for piece in one.pieces] for one in found.items]
    assert texts == [
        [("user", "how many stars?"), ("assistant", "many")],
        [("user", "and moons?"), ("assistant", "few")],
    ]
    assert found.left_out == 0


def test_an_answer_has_a_bound_and_tells_what_it_leaves_out(store: Store, tenant: str, say: Say) -> None:
    large = "word " * 400_000
    for number in range(12):
        say(number, large, "short")
    say(12, "the last", "answer")
    found = stats.contents(store, tenant, "c", cut=0)
    shown = sum(len(piece.text) for one in found.items for piece in one.pieces)
    assert shown <= stats.MAX_BYTES < shown + len(large)
    assert found.left_out > 12 * len(large) - stats.MAX_BYTES
    assert found.items[-1].pieces[0].text == "the last", "a small message has room beside large ones"
    transcript = of_spans(store, tenant, ["c"])["c"]
    assert sum(len(text) for _, text in transcript.lines) <= stats.MAX_BYTES


def test_conversations_are_read_together_as_each_by_itself(store: Store, tenant: str, say: Say) -> None:
    say(1, "how many stars?", "many", "one")
    say(2, "who?", "nobody", "two")
    say(3, "and moons?", "few", "one")
    together = of_spans(store, tenant, ["one", "two", "none"])
    assert together["one"].lines == (
        ("user", "how many stars?"),
        ("assistant", "many"),
        ("user", "and moons?"),
        ("assistant", "few"),
    )
    assert together["two"].lines == (("user", "who?"), ("assistant", "nobody"))
    assert "none" not in together


def test_conversations_with_more_content_than_one_reading_has_room_for_are_read_apart(
    store: Store, tenant: str, say: Say
) -> None:
    large = "word " * 500_000
    names = [f"c{number}" for number in range(8)]
    for number, name in enumerate(names):
        say(number, large, "short", name)
    together = of_spans(store, tenant, names)
    assert [len(together[name].lines) for name in names] == [2] * len(names)


def test_a_list_does_not_read_a_long_input_for_its_beginning(store: Store, tenant: str, say: Say) -> None:
    say(1, "x" * 2 * stats.MAX_INPUT_BYTES, "a")
    say(2, "short", "a")
    traces = [f"{tenant}-1", f"{tenant}-2"]
    around = Window(NOON - SECOND, NOON + 9 * SECOND)
    assert stats.questions_of(store, tenant, traces, around, 100) == {f"{tenant}-2": "short"}
