"""`spanledger import` as a user calls it, beside a running `up` and without one: what comes out of the API."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import preloaded
from messages_db import BEGAN, attributed, chat_db
from system import System

Json = dict[str, Any]
MINI = "gpt-4o-mini"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("imports") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def bring(data_dir: Path, *arguments: str | Path, code: int = 0, **environ: str) -> "subprocess.CompletedProcess[str]":
    program = ["-m", "spanledger.cli", "import", *map(str, arguments), "--data-dir", str(data_dir)]
    done = preloaded.run(program, 180, {**os.environ, **environ})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(f"{value if isinstance(value, str) else json.dumps(value)}\n" for value in values))
    return path


def figures(answer: dict[str, object]) -> dict[str, object]:
    """An answer without the moment at which it was given."""
    return {name: value for name, value in answer.items() if name != "as_of"}


def test_the_text_of_a_mutable_string_is_found() -> None:
    from spanledger.imports import typedstream

    head = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00"
    body = (
        head + b"\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x0fNSMutableString\x01"
    )
    body += b"\x84\x84\x08NSString\x01\x95\x84\x01+\x0bhello + you\x86\x84"
    assert typedstream.text(body) == "hello + you"
    assert typedstream.text(attributed("NSMutableString + hi")) == "NSMutableString + hi"


def test_jsonl_keeps_ids_times_users_and_what_is_not_known(up: System, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "history.jsonl",
        {"conversation_id": "j-1", "id": "m-1", "role": "user", "content": "hi", "created_at": "2024-05-01T10:00:00Z",
         "user_id": "ann"},
        {"conversation_id": "j-1", "role": "assistant", "content": "hello", "created_at": BEGAN + 2, "model": MINI,
         "provider": "openai", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}},
        {"conversation_id": "j-1", "id": "m-2", "role": "user", "content": "and?", "created_at": (BEGAN + 60) * 1000},
        {"conversation_id": "j-1", "role": "assistant", "content": "so", "created_at": BEGAN + 61.5, "model": MINI,
         "provider": "openai"},
        {"conversation_id": "j-2", "created_at": "2024-05-02", "user": "ben", "model": "gpt-4o-mini", "messages": [
            {"role": "system", "content": "be nice"},
            {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"conversation_id": "j-3", "role": "user", "content": "nobody answered", "created_at": BEGAN},
    )  # fmt: skip
    done = bring(up.data_dir, "jsonl", file)
    assert "3 conversations: 4 messages and exchanges, 3 answers of models" in done.stdout
    talk = up.get("conversations", "j-1")
    assert (talk["message_count"], talk["user_id"], talk["models"]) == (4, "ann", ["gpt-4o-mini"])
    assert (talk["first_at"], talk["last_at"]) == ("2024-05-01T10:00:00.000000Z", "2024-05-01T10:01:01.500000Z")
    assert (talk["usage"]["llm_calls"], talk["usage"]["input_tokens"], talk["usage"]["priced_share"]) == (2, 1000, 0.5)
    first, second = up.get("conversations", "j-1", "messages")["items"]
    assert (first["message_id"], first["usage"]["total_tokens"], first["service"]) == ("m-1", 1100, "jsonl")
    assert (second["message_id"], second["usage"]["cost_state"]) == ("m-2", "unpriced")  # unknown is not zero
    assert (up.get("conversations", "j-2")["message_count"], up.get("conversations", "j-3")["message_count"]) == (2, 1)
    trace = up.get("traces", first["trace_id"])
    assert {span["attributes"]["spanledger.source"] for span in trace["spans"]} == {"jsonl"}
    assert "hello" not in json.dumps(trace)  # content only with the switch
    listed = {one["conversation_id"] for one in up.get("conversations", from_="2024-05-01", to="2024-05-03")["items"]}
    assert {"j-1", "j-2", "j-3"} <= listed


def test_usage_in_a_providers_own_words_costs_what_it_cost(up: System, tmp_path: Path) -> None:
    """OpenAI's details are within the input, Anthropic's cache beside it, Gemini's thoughts beside the output."""
    used = {
        "gpt-4o-mini": {"prompt_tokens": 1000, "completion_tokens": 100,
                        "prompt_tokens_details": {"cached_tokens": 400}},
        "o3": {"input_tokens": 10, "output_tokens": 20, "reasoning_output_tokens": 15},
        "claude-sonnet-4-5": {"input_tokens": 500, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10,
                              "output_tokens": 7},
        "gemini-2.5-flash": {"promptTokenCount": 26, "candidatesTokenCount": 63, "thoughtsTokenCount": 40,
                             "totalTokenCount": 129},
    }  # fmt: skip
    answers = [
        {"conversation_id": "j-used", "role": role, "content": "x", "created_at": BEGAN + number} | more
        for number, (model, usage) in enumerate(used.items())
        for role, more in (("user", {}), ("assistant", {"model": model, "usage": usage}))
    ]
    bring(up.data_dir, "jsonl", lines(tmp_path / "used.jsonl", *answers))
    told = [one["usage"] for one in up.get("conversations", "j-used", "messages")["items"]]
    assert [(one["input_tokens"], one["output_tokens"]) for one in told] == [(1000, 100), (10, 20), (610, 7), (26, 103)]
    assert [one["reasoning_output_tokens"] for one in told] == [0, 15, 0, 40]
    assert [Decimal(one["cost_usd"]) for one in told] == [
        Decimal("0.00018"),  # 600 × 0.15 + 400 × 0.075 + 100 × 0.60 a million
        Decimal("0.00018"),  # 10 × 2 + 20 × 8
        Decimal("0.0016725"),  # 500 × 3 + 100 × 0.30 + 10 × 3.75 + 7 × 15
        Decimal("0.0002653"),  # 26 × 0.30 + 103 × 2.50
    ]


def test_a_second_import_changes_nothing_and_a_grown_file_adds(up: System, tmp_path: Path) -> None:
    asked = {"conversation_id": "twice", "role": "user", "content": "a", "created_at": BEGAN}
    answered = {"conversation_id": "twice", "role": "assistant", "content": "b", "created_at": BEGAN + 1, "model": "m"}
    file = lines(tmp_path / "a.jsonl", asked, answered)
    bring(up.data_dir, "jsonl", file)
    before = up.get("conversations", "twice")
    bring(up.data_dir, "jsonl", file)
    assert figures(up.get("conversations", "twice")) == figures(before)
    lines(file, asked, answered, {**asked, "content": "c", "created_at": BEGAN + 9})
    bring(up.data_dir, "jsonl", file)
    assert up.get("conversations", "twice")["message_count"] == before["message_count"] + 1
    assert up.get("audit")["balanced"]


def test_bad_lines_are_listed_and_counted_and_the_rest_is_there(up: System, tmp_path: Path) -> None:
    good = {"conversation_id": "rest", "role": "user", "content": "\ud83d half", "created_at": BEGAN}
    file = lines(
        tmp_path / "bad.jsonl",
        "{broken",
        "[1, 2]",
        {"role": "user", "content": "x", "created_at": BEGAN},
        {"conversation_id": "c", "role": "king", "content": "x", "created_at": BEGAN},
        {"conversation_id": "c", "role": "user", "content": "x"},
        {"conversation_id": "c", "role": "user", "content": "x", "created_at": "yesterday"},
        {"conversation_id": "c", "role": "user", "content": "x", "created_at": 1e300},
        "[" * 100_000,
        good,
    )
    done = bring(up.data_dir, "jsonl", file, code=1)
    for said in ("line 1: is not JSON", "line 2: is not a JSON object", "line 3: has no conversation_id",
                 "role 'king'",
                 "line 5: has no time", "line 6: the time='yesterday'", "line 7: has a time out of range",
                 "line 8: "):  # fmt: skip
        assert said in done.stderr
    assert "unusable: 8, listed above" in done.stdout
    assert up.get("conversations", "rest")["message_count"] == 1


def _node(
    node_id: str, parent: str | None, children: list[str], role: str = "", at: float | None = None, **more: Any
) -> Json:
    message = None
    if role:
        content = {"content_type": "text", "parts": [more.pop("text", role)]}
        author = {"role": role, "name": more.pop("name", None)}
        message = {"id": node_id, "author": author, "create_time": at, "content": content, "metadata": more}
    return {"id": node_id, "parent": parent, "children": children, "message": message}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chatgpt_export(tmp_path_factory.mktemp("chatgpt") / "export.zip", "gpt-1")


def chatgpt_export(path: Path, conversation_id: str) -> Path:
    """A question with thoughts and an answer, regenerated by another model; then one with a tool."""
    nodes = [
        _node("root", None, ["sys"]),
        _node("sys", "root", ["q1"], "system", None, is_visually_hidden_from_conversation=True),
        _node("q1", "sys", ["t1", "a1b"], "user", BEGAN, text="secret question"),
        _node("t1", "q1", ["a1"], "assistant", BEGAN + 2, model_slug="o3"),
        _node("a1", "t1", ["q2"], "assistant", BEGAN + 5, model_slug="o3"),
        _node("a1b", "q1", [], "assistant", BEGAN + 90, model_slug="gpt-4o"),
        _node("q2", "a1", ["c2"], "user", BEGAN + 100),
        _node("c2", "q2", ["r2"], "assistant", BEGAN + 101, model_slug="gpt-4o"),
        _node("r2", "c2", ["a2"], "tool", BEGAN + 102, name="browser"),
        _node("a2", "r2", [], "assistant", None, model_slug="gpt-4o"),
    ]
    talk = {
        "conversation_id": conversation_id,
        "title": "Secrets",
        "create_time": BEGAN,
        "mapping": {n["id"]: n for n in nodes},
    }
    lost = {"conversation_id": "gpt-2", "mapping": None}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conversations.json", json.dumps([talk, lost]))
        archive.writestr("user.json", json.dumps({"id": "user-me", "email": "me@example.org"}))
    return path


def node(node_id: str, parent: str, role: str, text: str, at: object) -> dict[str, object]:
    author = {"role": role}
    message = {"id": node_id, "author": author, "create_time": at, "content": {"content_type": "text", "parts": [text]}}
    return {"id": node_id, "parent": parent or None, "message": message}


def test_a_chatgpt_export_whose_nodes_only_name_their_parent(up: System, tmp_path: Path) -> None:
    nodes = [
        {"id": "root", "parent": None, "message": None},
        node("q1", "root", "user", "one", BEGAN),
        node("a1", "q1", "assistant", "first", "yesterday, perhaps"),
        node("a2", "q1", "assistant", "regenerated", BEGAN + 9.25),
        node("q2", "a2", "user", "two", None),
        node("a3", "q2", "assistant", "third", BEGAN + 20),
        node("lost", "nowhere", "user", "its parent is not there", BEGAN + 30),
    ]
    mapping = {str(n["id"]): n for n in nodes} | {"odd": 7}
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([{"conversation_id": "gpt-parents", "create_time": BEGAN, "mapping": mapping}]))
    bring(up.data_dir, "chatgpt", file)
    talk = up.get("conversations", "gpt-parents")
    assert (talk["usage"]["llm_calls"], talk["message_count"]) == (3, 5)  # three questions, two of them answered


def test_an_import_that_takes_nothing_is_no_success(up: System, tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text("[]")
    assert "nothing in it could be imported" in bring(up.data_dir, "chatgpt", file, code=1).stderr


def test_chatgpts_export_keeps_models_branches_and_tools(up: System, export: Path) -> None:
    done = bring(up.data_dir, "chatgpt", export, code=1)
    assert "conversations.json, conversation 2: has no mapping of messages" in done.stderr
    talk = up.get("conversations", "gpt-1")
    assert (talk["message_count"], talk["user_id"], talk["models"]) == (4, "user-me", ["gpt-4o", "o3"])
    assert talk["usage"]["llm_calls"] == 4  # o3, regenerated by gpt-4o, and before and after the tool
    assert (talk["usage"]["priced_share"], talk["usage"]["cost_state"]) == (0.0, "unpriced")
    first, second = up.get("conversations", "gpt-1", "messages")["items"]
    assert (first["message_id"], first["started_at"], first["models"]) == (
        "q1",
        "2024-05-01T10:00:00.000000Z",
        ["gpt-4o", "o3"],
    )
    assert (second["tools"], second["duration_ms"], second["service"]) == (["browser"], 2000.0, "chatgpt")
    assert "secret question" not in json.dumps(up.get("traces", first["trace_id"]))
    again = bring(up.data_dir, "chatgpt", export, code=1)
    assert again.stdout == done.stdout
    assert figures(up.get("conversations", "gpt-1")) == figures(talk)


def test_with_the_switch_on_texts_come_too_and_can_be_analysed(up: System, tmp_path: Path) -> None:
    bring(up.data_dir, "chatgpt", chatgpt_export(tmp_path / "export.zip", "gpt-3"), "--content", code=1)
    first = up.get("conversations", "gpt-3", "messages")["items"][0]
    assert first["usage"]["llm_calls"] == 2
    assert "secret question" in json.dumps(up.get("traces", first["trace_id"]))
    up.post("/v1/conversations/gpt-3/seal", {})
    assert up.get("conversations", "gpt-3", "analysis")["analysis"]["content_source"] == "spans"


def claude_export(path: Path, conversation_id: str) -> Path:
    """A question with an answer that used a tool, asked again in other words and answered; and what is no talk."""

    def said(uuid: str, sender: str, at: str, parent: str = "", **more: Any) -> Json:
        return {"uuid": uuid, "sender": sender, "created_at": f"{at}Z", "parent_message_uuid": parent, **more}

    first = [
        {"type": "thinking", "thinking": "hm", "start_timestamp": "2026-05-01T10:00:02Z"},
        {"type": "tool_use", "id": "u1", "name": "web_search", "input": {}, "start_timestamp": "2026-05-01T10:00:03Z"},
        {"type": "tool_result", "tool_use_id": "u1", "content": [{"type": "text", "text": "found secret"}]},
        {"type": "text", "text": "secret answer", "stop_timestamp": "2026-05-01T10:00:06.5Z"},
    ]
    talk = {
        "uuid": conversation_id,
        "name": "Secrets",
        "created_at": "2026-05-01T10:00:00Z",
        "account": {"uuid": "account-me"},
        "chat_messages": [
            said("q1", "human", "2026-05-01T10:00:00", text="secret question"),
            said("a1", "assistant", "2026-05-01T10:00:07", "q1", text="(tool) secret answer", content=first),
            said("q1b", "human", "2026-05-01T10:05:00", content=[{"type": "text", "text": "in other words"}]),
            said("a1b", "assistant", "2026-05-01T10:05:04", "q1b", text="fine", model="claude-sonnet-4-5-20250929"),
            said("a2", "assistant", "2026-05-01T10:09:00", "q1", text="tried again"),
            said("s", "system", "2026-05-01T10:10:00", text="no message"),
        ],
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/conversations.json", json.dumps([talk, {"uuid": "lost", "chat_messages": None}]))
    return path


def test_claudes_export_keeps_users_branches_and_tools(up: System, tmp_path: Path) -> None:
    export = claude_export(tmp_path / "export.zip", "claude-1")
    done = bring(up.data_dir, "claude", export, code=1)
    assert "data/conversations.json, conversation 2: has no chat_messages" in done.stderr
    assert "1 conversations: 2 messages and exchanges, 3 answers of models" in done.stdout
    talk = up.get("conversations", "claude-1")
    assert (talk["message_count"], talk["user_id"], talk["models"]) == (4, "account-me", ["claude-sonnet-4-5-20250929"])
    assert talk["usage"]["llm_calls"] == 3
    assert (talk["usage"]["priced_share"], talk["usage"]["cost_state"]) == (0.0, "unpriced")
    assert up.get("usage", conversation="claude-1", group_by="provider")["groups"][0]["provider"] == "anthropic"
    first, second = up.get("conversations", "claude-1", "messages")["items"]
    assert (first["message_id"], first["started_at"], first["tools"], first["service"]) == (
        "q1",
        "2026-05-01T10:00:00.000000Z",
        ["web_search"],
        "claude",
    )
    assert (second["message_id"], second["usage"]["llm_calls"]) == ("q1b", 1)
    spans = up.get("traces", first["trace_id"])
    answers = [span for span in spans["spans"] if span["name"].startswith("chat")]
    assert [answer["duration_ms"] for answer in answers] == [4500.0, 0.0]
    assert "secret" not in json.dumps(spans)
    again = bring(up.data_dir, "claude", export, code=1)
    assert again.stdout == done.stdout
    assert figures(up.get("conversations", "claude-1")) == figures(talk)


def test_claudes_texts_come_with_the_switch_on(up: System, tmp_path: Path) -> None:
    export = claude_export(tmp_path / "export.zip", "claude-2")
    bring(up.data_dir, "claude", export, "--content", "--user", "ann", code=1)
    first = up.get("conversations", "claude-2", "messages")["items"][0]
    told = json.dumps(up.get("traces", first["trace_id"]))
    assert first["user_id"] == "ann"
    assert all(text in told for text in ("secret question", "secret answer", "found secret", "Secrets"))
    assert "hm" not in told.split('"')
    assert "(tool)" not in told


@pytest.mark.parametrize(
    ("kind", "other", "key"), [("claude", "chatgpt", "mapping"), ("chatgpt", "claude", "chat_messages")]
)
def test_the_export_of_the_other_says_how_to_import_it(tmp_path: Path, kind: str, other: str, key: str) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([{"uuid": "x", "id": "x", key: {} if key == "mapping" else []}]))
    done = bring(tmp_path / "data", kind, file, code=1)
    assert f"`spanledger import {other}`" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("empty.json", b"", 1, "does not begin with ["),
        ("object.json", b'{"a": 1}', 1, "has no mapping"),
        ("cut.json", b'[{"id": "x", "mapping": {', 1, "the file is not complete"),
        ("numbers.json", b"[1, 2]", 1, "conversation 1: has no mapping"),
        ("broken.zip", b"PK\x03\x04 and then nothing", 2, "broken zip"),
    ],
)
def test_what_is_no_export_says_what_is_wrong(tmp_path: Path, name: str, content: bytes, code: int, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in bring(tmp_path / "data", "chatgpt", tmp_path / name, code=code).stderr


def test_imessages_are_messages_without_calls_in_conversations_split_by_pauses(up: System, tmp_path: Path) -> None:
    long_text = "a rather long message " * 20
    db = chat_db(
        tmp_path / "chat.db",
        ("g-1", 0, False, "lunch?", None),
        ("g-2", 60, True, None, attributed("sure")),
        ("g-3", 60 + 90 * 60, False, "on my way", None),  # exactly the gap: still the same
        ("g-4", 61 + 3 * 90 * 60, True, None, attributed(long_text)),
    )
    done = bring(up.data_dir, "imessage", db, "--content")
    assert "2 conversations: 4 messages and exchanges, 0 answers of models" in done.stdout
    early, late = "iMessage;-;+4179/2024-05-01T10:00:00Z", "iMessage;-;+4179/2024-05-01T14:31:01Z"
    talk = up.get("conversations", early)
    assert (talk["message_count"], talk["usage"]["llm_calls"], talk["models"]) == (3, 0, [])
    assert (talk["first_at"], talk["last_at"]) == ("2024-05-01T10:00:00.000000Z", "2024-05-01T11:31:00.000000Z")
    items = up.get("conversations", early, "messages")["items"]
    assert [(m["message_id"], m["user_id"], m["service"]) for m in items] == [
        ("g-1", "+4179", "imessage"), ("g-2", "me", "imessage"), ("g-3", "+4179", "imessage")]  # fmt: skip
    assert up.get("conversations", late)["message_count"] == 1
    told = json.dumps(up.get("traces", up.get("messages", "g-4")["trace_id"]))
    assert long_text.strip() in told
    bring(up.data_dir, "imessage", db, "--content")
    assert figures(up.get("conversations", early)) == figures(talk)
    assert up.get("audit")["balanced"]


def test_follow_brings_what_comes_until_it_is_stopped(up: System, tmp_path: Path) -> None:
    db = chat_db(tmp_path / "live.db", ("f-1", 0, False, "hi", None), chat="live")
    process = subprocess.Popen(
        [sys.executable, "-m", "spanledger.cli", "import", "imessage", str(db), "--follow", "--data-dir",
         str(up.data_dir)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("following"):
                break
        chat_db(db, ("f-2", 30, True, "hello", None))
        name = "live/2024-05-01T10:00:00Z"
        until(lambda: counted(up, name) == 2)
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1 conversations: 2 messages" in out


def counted(system: System, conversation: str) -> int:
    status, _, body = system.request("GET", f"/v1/conversations/{quote(conversation, safe='')}")
    return int(body["message_count"]) if status == 200 else 0


def until(holds: Callable[[], bool], seconds: float = 180) -> None:
    pause, ends = threading.Event(), time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        pause.wait(0.1)


def test_follow_needs_a_running_system(tmp_path: Path) -> None:
    db = chat_db(tmp_path / "chat.db", ("f-1", 0, False, "hi", None))
    assert "needs a running" in bring(tmp_path / "data", "imessage", db, "--follow", code=2).stderr


def test_databases_that_are_none_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be looked at " * 10)
    (tmp_path / "empty.db").write_bytes(b"")
    rows = [(f"t-{n}", n, False, "x" * 500, None) for n in range(200)]
    whole = chat_db(tmp_path / "whole.db", *rows).read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "damaged.db").write_bytes(whole[:40_960] + b"\xff" * 40_960 + whole[81_920:])
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE message (guid TEXT)")
    for name, says in (("text.db", "not a database"), ("empty.db", "no table"), ("other.db", "has no column date"),
                       ("none.db", "no such file"), ("cut.db", "malformed")):  # fmt: skip
        assert says in bring(tmp_path / "data", "imessage", tmp_path / name, code=2).stderr
    damaged = bring(tmp_path / "data", "imessage", tmp_path / "damaged.db", code=1)
    assert "cannot be read to its end" in damaged.stderr


def test_without_a_running_system_the_data_folder_is_filled(tmp_path: Path) -> None:
    values = [
        {"conversation_id": f"c{n % 7}", "role": "user", "content": "x", "created_at": BEGAN + n} for n in range(1200)
    ]
    done = bring(tmp_path / "data", "jsonl", lines(tmp_path / "many.jsonl", *values))
    assert "7 conversations: 1,200 messages" in done.stdout
    counted = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", "sql",
         "SELECT sum(messages), uniq(conversation_id) FROM conversation_usage",
         "--format", "csv", "--data-dir", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=60)  # fmt: skip
    assert counted.stdout.splitlines()[1] == "1200,7"
