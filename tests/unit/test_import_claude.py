"""Claude's exports with broken messages: what cannot be used costs itself alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from spanledger.imports import claude
from spanledger.imports.history import MAX_PARTS, Exchange, Problem

BEGAN = "2026-05-01T10:00:00Z"
Json = dict[str, Any]


def said(uuid: str, sender: str, **more: Any) -> Json:
    return {"uuid": uuid, "sender": sender, "created_at": BEGAN, "text": f"text of {uuid}", **more}


def read(folder: Path, *messages: Any, **more: Any) -> tuple[list[Exchange], list[str]]:
    file = folder / "conversations.json"
    file.write_text(json.dumps([{"uuid": "c", "created_at": BEGAN, "chat_messages": list(messages), **more}]))
    found = list(claude.read(file))
    problems = [item.why for item in found if isinstance(item, Problem)]
    return [item for item in found if isinstance(item, Exchange)], problems


def told(exchanges: list[Exchange]) -> list[tuple[str, list[str]]]:
    return [(one.text, [answer.text for answer in one.answers]) for one in exchanges]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "text",
        {},
        {"sender": None},
        {"sender": ["human"], "uuid": "x"},
        said("bad", "system"),
    ],
)
@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_a_message_that_says_nothing_costs_nothing(tmp_path: Path, bad: Any, place: str) -> None:
    messages = [said("q", "human"), said("a", "assistant")]
    messages.insert({"first": 0, "between": 1, "last": 2}[place], bad)
    assert told(read(tmp_path, *messages)[0]) == [("text of q", ["text of a"])]


@pytest.mark.parametrize(
    "odd",
    [
        {"content": None},
        {"content": "words"},
        {"content": [None, 5, {}, {"type": "text"}, {"type": "text", "text": 7}]},
        {"content": [{"type": "text", "text": "", "start_timestamp": "soon", "stop_timestamp": {}}]},
        {"created_at": "yesterday"},
        {"created_at": None},
        {"parent_message_uuid": "nowhere"},
        {"parent_message_uuid": ["a"]},
        {"model": None},
    ],
)
def test_odd_parts_of_a_message_leave_its_call(tmp_path: Path, odd: Json) -> None:
    exchanges, problems = read(tmp_path, said("q", "human"), said("a", "assistant", **odd))
    assert told(exchanges) == [("text of q", ["text of a"])]
    assert problems == []


def test_messages_without_ids_or_with_the_same_are_told_apart_alike_each_time(tmp_path: Path) -> None:
    messages = [said("", "human"), said("", "assistant"), said("a", "assistant"), said("a", "assistant")]
    ids = [[answer.answer_id for one in read(tmp_path, *messages)[0] for answer in one.answers] for _ in range(2)]
    assert ids == [["c/1", "a", "a/3"]] * 2


def test_an_answer_follows_the_message_that_it_names(tmp_path: Path) -> None:
    exchanges, _ = read(
        tmp_path,
        said("q1", "human"),
        said("q2", "human"),
        said("a1", "assistant", parent_message_uuid="q1"),
        said("a2", "assistant", parent_message_uuid="q2"),
        said("a1b", "assistant", parent_message_uuid="a1"),
    )
    assert told(exchanges) == [("text of q1", ["text of a1", "text of a1b"]), ("text of q2", ["text of a2"])]


def test_the_model_of_the_conversation_is_that_of_its_messages(tmp_path: Path) -> None:
    own = said("b", "assistant", model="claude-opus-4-1")
    exchanges, _ = read(tmp_path, said("q", "human"), said("a", "assistant"), own, model="claude-sonnet-4-5")
    assert [answer.model for answer in exchanges[0].answers] == ["claude-sonnet-4-5", "claude-opus-4-1"]


def test_nothing_with_a_time_is_a_problem(tmp_path: Path) -> None:
    exchanges, problems = read(tmp_path, said("q", "human", created_at=""), created_at=None)
    assert (exchanges, problems) == ([], ["has no time"])


def test_more_uses_of_tools_than_a_message_may_have_are_told(tmp_path: Path) -> None:
    uses = [{"type": "tool_use", "id": f"u{n}", "name": "look"} for n in range(MAX_PARTS + 10)]
    exchanges, problems = read(
        tmp_path, said("q", "human"), said("a", "assistant", content=uses), said("b", "assistant")
    )
    assert len(exchanges[0].answers) + len(exchanges[0].tools) == MAX_PARTS
    assert problems == [f"has more than {MAX_PARTS:,} answers to one message; 12 are left out"]
