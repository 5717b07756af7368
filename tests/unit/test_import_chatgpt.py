"""ChatGPT's exports with broken trees: a node that cannot be used costs itself alone."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from spanledger.imports import chatgpt
from spanledger.imports.history import Exchange, Problem

BEGAN = 1_714_557_600
Json = dict[str, Any]


def node(name: str, role: str, parent: str | None = None, children: Any = (), **message: Any) -> Json:
    said = {"id": name, "author": {"role": role}, "create_time": BEGAN, "content": {"parts": [f"text of {name}"]}}
    return {"id": name, "parent": parent, "children": list(children), "message": {**said, **message}}


def read(folder: Path, mapping: Any, before: str = "") -> tuple[list[Exchange], list[Problem]]:
    conversation = {"conversation_id": "c", "create_time": BEGAN, "mapping": mapping}
    file = folder / "conversations.json"
    file.write_text(before + json.dumps([conversation]))
    found = list(chatgpt.read(file))
    problems = [item for item in found if isinstance(item, Problem)]
    return [item for item in found if isinstance(item, Exchange)], problems


GOOD: Json = {"q": node("q", "user", children=["a"]), "a": node("a", "assistant", "q")}
QUESTION, ANSWER = ["text of q"], ["text of a"]


def texts(exchanges: list[Exchange]) -> tuple[list[str], list[str]]:
    return [one.text for one in exchanges if one.has_question], [
        answer.text for one in exchanges for answer in one.answers
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "text",
        [],
        {},
        {"message": 5},
        {"message": {"author": None}},
        {"message": None, "children": {"a": 1}, "parent": 7},
        {"parent": "bad", "children": ["bad"], "message": None},
        {"parent": "nowhere", "children": ["nowhere", None, 5, ["q"]]},
        node("bad", "system", "a"),
        node("bad", "user", "a", metadata={"is_visually_hidden_from_conversation": True}),
        node("bad", "user", "a", metadata={"is_user_system_message": True}),
        node("bad", "user", "a", content={"content_type": "user_editable_context", "user_profile": "x"}),
    ],
)
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_node_that_says_nothing_costs_nothing(tmp_path: Path, bad: Any, place: str) -> None:
    mapping = {"bad": bad, **GOOD} if place == "first" else {**GOOD, "bad": bad}
    exchanges, problems = read(tmp_path, mapping)
    assert texts(exchanges) == (QUESTION, ANSWER)
    assert problems == []


@pytest.mark.parametrize("place", ["first", "last"])
def test_nodes_in_a_circle_are_found_beside_others(tmp_path: Path, place: str) -> None:
    circle = {"x": node("x", "user", "y", ["y"]), "y": node("y", "assistant", "x", ["x"])}
    exchanges, problems = read(tmp_path, {**circle, **GOOD} if place == "first" else {**GOOD, **circle})
    questions, answers = texts(exchanges)
    assert (sorted(questions), sorted(answers)) == (["text of q", "text of x"], ["text of a", "text of y"])
    assert problems == []


def test_a_node_that_is_its_own_parent_is_found(tmp_path: Path) -> None:
    exchanges, _ = read(tmp_path, {"x": node("x", "user", "x", ["x", "y"]), "y": node("y", "assistant", "x")})
    assert texts(exchanges) == (["text of x"], ["text of y"])


def test_messages_with_one_id_are_all_kept(tmp_path: Path) -> None:
    """Each is known by its node where the id is another's."""
    mapping = {
        "n1": node("n1", "user", None, ["n2"], id="same"),
        "n2": node("n2", "assistant", "n1", ["n3"], id="same"),
        "n3": node("n3", "user", "n2", ["n4"], id="same"),
        "n4": node("n4", "assistant", "n3", id="same"),
    }
    exchanges, _ = read(tmp_path, mapping)
    assert texts(exchanges) == (["text of n1", "text of n3"], ["text of n2", "text of n4"])
    ids = [one.message_id for one in exchanges] + [answer.answer_id for one in exchanges for answer in one.answers]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("content", ["plain", {"text": "plain"}, {"parts": "plain"}, ["plain"]])
def test_a_text_is_found_in_every_form_that_exports_have(tmp_path: Path, content: Any) -> None:
    exchanges, _ = read(tmp_path, {"q": node("q", "user", content=content)})
    assert [one.text for one in exchanges] == ["plain"]


@pytest.mark.parametrize("content", [None, 5, {}, {"parts": 5}, {"parts": [None, 5, {}]}, {"text": {}}])
def test_a_content_that_is_no_text_costs_no_message(tmp_path: Path, content: Any) -> None:
    exchanges, problems = read(tmp_path, {**GOOD, "x": node("x", "user", "a", content=content)})
    assert [one.text for one in exchanges] == ["text of q", ""]
    assert problems == []


@pytest.mark.parametrize("when", [None, "", "soon", -1, 0, 1e300, "2024-05-01T10:00:00Z", True, [], float("nan")])
def test_a_time_that_is_none_is_that_of_the_message_above(tmp_path: Path, when: Any) -> None:
    exchanges, problems = read(tmp_path, {"q": GOOD["q"], "a": node("a", "assistant", "q", create_time=when)})
    assert texts(exchanges) == (QUESTION, ANSWER)
    assert problems == []
    assert exchanges[0].answers[0].at_ns == BEGAN * 10**9


def test_a_byte_order_mark_before_the_file_is_no_fault(tmp_path: Path) -> None:
    exchanges, problems = read(tmp_path, GOOD, before="\ufeff")
    assert texts(exchanges) == (QUESTION, ANSWER)
    assert problems == []


def element(name: str, more: str = "") -> str:
    return json.dumps({"conversation_id": name, "create_time": BEGAN, "mapping": GOOD})[:-1] + more + "}"


@pytest.mark.parametrize(
    ("odd", "kept", "problems"),
    [
        (element("odd", ',"x":' + "9" * 5000), 3, 0),
        (element("odd", ',"x":' + "[" * 5000 + "]" * 5000), 3, 0),
        (element("odd", ',"x":' + '{"a":' * 50_000 + "1" + "}" * 50_000), 3, 0),
        (element("odd", ',"create_time":' + "9" * 5000), 3, 0),
        (element("odd", ',"x":NaN,"y":-Infinity,"z":1e999'), 3, 0),
        (element("odd", ',"x":"a\nb\tc\x01"'), 3, 0),
        (element("odd", ',"x":undefined'), 2, 1),
        (element("odd", ",'single':1"), 2, 1),
        ("[" * 5000 + "]" * 5000, 2, 1),
    ],
    ids=range(9),
)
def test_a_conversation_that_is_odd_json_costs_no_other(tmp_path: Path, odd: str, kept: int, problems: int) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(f"[{element('first')},{odd},\n{element('last')}]")
    found = list(chatgpt.read(file))
    assert [one.conversation_id for one in found if isinstance(one, Exchange)][:: kept - 1] == ["first", "last"]
    assert (len(found), sum(isinstance(one, Problem) for one in found)) == (kept + problems, problems)


def test_a_long_broken_conversation_costs_no_other(tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    long = element("odd", f',"x":"{"[" * 3_000_000}","y":undefined')
    file.write_text(f"[{element('first')},{long},{element('last')}]")
    found = list(chatgpt.read(file))
    assert [one.conversation_id for one in found if isinstance(one, Exchange)] == ["first", "last"]
    assert [one.where for one in found if isinstance(one, Problem)] == ["conversations.json, conversation 2"]


@pytest.mark.parametrize("user", ["[" * 100_000, "[" * 5000 + "]" * 5000, "{", "5", '{"id": null}', "\ufeff{}"])
def test_a_user_file_that_says_nothing_costs_nothing(tmp_path: Path, user: str) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("user.json", user)
        archive.writestr("conversations.json", f"[{element('only')}]")
    (one,) = chatgpt.read(tmp_path / "export.zip")
    assert isinstance(one, Exchange)
    assert one.user_id == ""


@pytest.mark.parametrize("folder", ["", "chatgpt-export/"])
def test_the_user_is_that_of_the_file_beside_the_conversations(tmp_path: Path, folder: str) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr(f"{folder}user.json", '{"id": "user-9"}')
        archive.writestr(f"{folder}conversations.json", f"[{element('only')}]")
    (one,) = chatgpt.read(tmp_path / "export.zip")
    assert isinstance(one, Exchange)
    assert one.user_id == "user-9"


@pytest.mark.parametrize(
    "text",
    [
        f"{element('a')}\n{element('b')}\n",
        f'{{"conversations": [{element("a")}, {element("b")}]}}',
        f' {{"items": [{element("a")}, {element("b")}], "total": 2}}',
    ],
)
def test_conversations_without_a_list_around_them(tmp_path: Path, text: str) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(text)
    assert [one.conversation_id for one in chatgpt.read(file) if isinstance(one, Exchange)] == ["a", "b"]


@pytest.mark.parametrize("text", [element("a"), f"{element('a')}\n{element('b')[:-5]}", f"{element('a')} x"])
def test_one_conversation_and_what_stands_behind_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "conversation.json"
    file.write_text(text)
    first, *rest = chatgpt.read(file)
    assert isinstance(first, Exchange)
    assert all(isinstance(one, Problem) for one in rest)
    assert len(rest) == (text != element("a"))
