"""Databases of Apple's Messages, as far as an import reads them."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

APPLE = 978_307_200  # seconds from 1970 to the beginning of Apple's times
BEGAN = int(datetime(2024, 5, 1, 10, tzinfo=UTC).timestamp())


def chat_db(
    path: Path, *messages: tuple[str, int, bool, str | None, bytes | None], chat: str = "iMessage;-;+4179"
) -> Path:
    """Messages' schema as far as it matters: (guid, seconds since BEGAN, from me, text, attributedBody)."""
    new = not path.exists()
    with sqlite3.connect(path) as db:
        if new:
            db.executescript(
                "PRAGMA journal_mode=WAL;"
                "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT);"
                "CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, guid TEXT, display_name TEXT);"
                "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, guid TEXT, text TEXT, attributedBody BLOB,"
                " date INTEGER, is_from_me INTEGER, handle_id INTEGER, item_type INTEGER,"
                " associated_message_type INTEGER, service TEXT);"
                "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER);"
                "INSERT INTO handle VALUES (1, '+4179');"
            )
            db.execute("INSERT INTO chat VALUES (1, ?, '')", (chat,))
        for guid, after, mine, text, body in messages:
            date = (BEGAN + after - APPLE) * 10**9
            row = db.execute(
                "INSERT INTO message (guid, text, attributedBody, date, is_from_me, handle_id, item_type,"
                " associated_message_type) VALUES (?, ?, ?, ?, ?, 1, 0, 0)",
                (guid, text, body, date, int(mine)),
            ).lastrowid
            db.execute("INSERT INTO chat_message_join VALUES (1, ?)", (row,))
    db.close()
    return path


def attributed(text: str) -> bytes:
    """An NSAttributedString as Messages archives it."""
    raw = text.encode()
    size = bytes([len(raw)]) if len(raw) < 0x80 else b"\x81" + len(raw).to_bytes(2, "little")
    head = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\x00"
    head += b"\x84\x84\x08NSObject\x00\x85\x92"
    return (
        head
        + b"\x84\x84\x84\x08NSString\x01\x94\x84\x01+"
        + size
        + raw
        + b"\x86\x84\x02iI\x01\x01\x92\x84\x84\x84\x0cNSDictionary"
    )
