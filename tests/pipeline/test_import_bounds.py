"""Files that were made to be large: what cannot be imported is told and counted, its neighbours are there."""

import json
import sqlite3
import zipfile
from pathlib import Path

import pytest
from test_imports import BEGAN, bring, chat_db, lines


def test_a_huge_value_in_a_database_costs_its_row_alone(tmp_path: Path) -> None:
    db = chat_db(
        tmp_path / "chat.db",
        ("g-1", 0, False, "before", None),
        ("g-2", 1, False, "x" * (9 << 20), None),
        ("g-3", 2, False, None, b"y" * (9 << 20)),
        ("g-4", 3, False, "after", None),
    )
    done = bring(tmp_path / "data", "imessage", db, "--content", code=1)
    assert "2 messages" in done.stdout
    assert done.stderr.count("holds a value of more than 8 MiB") == 2


@pytest.mark.parametrize("name", ["message", "handle", "chat"])
def test_a_view_in_place_of_a_table_is_refused(tmp_path: Path, name: str) -> None:
    path = chat_db(tmp_path / "chat.db", ("g-1", 0, False, "hi", None))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = {"message": "guid, text, date, is_from_me, handle_id", "handle": "id", "chat": "guid"}[name]
    said = ", ".join(f"i AS {column}" for column in columns.split(", "))
    with sqlite3.connect(path) as db:
        db.execute(f"DROP TABLE {name}")
        db.execute(f"CREATE VIEW {name} AS {endless} SELECT {said} FROM n")
    done = bring(tmp_path / "data", "imessage", path, code=2)
    assert f"{name} is no table" in done.stderr


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("conversations.json", "w") as file:
        for _ in range(80):
            file.write(b" " * (1 << 20))
        file.write(b"[]")
    done = bring(tmp_path / "data", "chatgpt", path, code=2)
    assert "would unpack to 83,886,082 bytes" in done.stderr


def test_an_endless_element_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    with path.open("wb") as file:
        file.write(b'["')
        for _ in range(70):
            file.write(b"x" * (1 << 20))
    done = bring(tmp_path / "data", "chatgpt", path, code=1)
    assert "longer than 32 million characters" in done.stderr


def test_more_answers_than_a_message_may_have_are_told(tmp_path: Path) -> None:
    said = [{"conversation_id": "c", "role": "user", "content": "x", "created_at": BEGAN}]
    said += [
        {"conversation_id": "c", "role": "assistant", "content": "y", "created_at": BEGAN + n} for n in range(2500)
    ]
    done = bring(tmp_path / "data", "jsonl", lines(tmp_path / "many.jsonl", *said), code=1)
    assert "2,000 answers of models" in done.stdout
    assert "unusable: 500" in done.stdout
    nodes = {"a": {"message": _message("a", "user"), "children": [f"t{n}" for n in range(2500)]}}
    nodes |= {f"t{n}": {"message": _message(f"t{n}", "tool"), "parent": "a"} for n in range(2500)}
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([{"id": "c2", "create_time": BEGAN, "mapping": nodes}]))
    done = bring(tmp_path / "data", "chatgpt", path, code=1)
    assert "500 are left out" in done.stderr


def _message(name: str, role: str) -> dict[str, object]:
    return {"id": name, "author": {"role": role}, "create_time": BEGAN, "content": {"parts": ["x"]}}


def test_long_texts_go_in_several_requests_and_what_is_cut_is_told(tmp_path: Path) -> None:
    said = [
        {"conversation_id": f"c{n}", "role": "user", "content": "x" * 70_000, "created_at": BEGAN + n}
        for n in range(1_100)  # 77 MB: more than one request may have
    ]
    done = bring(tmp_path / "data", "jsonl", lines(tmp_path / "long.jsonl", *said), "--content")
    assert "1,100 messages" in done.stdout
    assert "cut: 1,100 texts were longer than 65,536 characters" in done.stdout


def test_texts_too_long_for_any_request_are_left_out(tmp_path: Path) -> None:
    said = [{"conversation_id": "c", "role": "user", "content": "x", "created_at": BEGAN}]
    said += [
        {"conversation_id": "c", "role": "assistant", "content": "y" * 60_000, "created_at": BEGAN + n}
        for n in range(100)
    ]
    done = bring(tmp_path / "data", "jsonl", lines(tmp_path / "wide.jsonl", *said), "--content", code=1)
    assert "its texts are 6,000,001 characters together; they are left out" in done.stderr
    assert "100 answers of models" in done.stdout
