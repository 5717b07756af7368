"""Messages' `chat.db`, read-only. People among themselves: messages without calls of models.

A conversation is a run of messages in one chat without a pause longer than the gap; its id is the chat and the
time of its first message, so that every import finds the same conversations.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spanledger.errors import BadRequest
from spanledger.imports import typedstream
from spanledger.imports.history import LATEST_NS, Exchange, Items, Problem

SOURCE = "imessage"
APPLE_EPOCH_S = 978_307_200  # 2001-01-01
GAP_S = 90 * 60
_TABLES = {
    "message": {"guid", "text", "date", "is_from_me", "handle_id"},
    "handle": {"id"},
    "chat": {"guid"},
    "chat_message_join": {"chat_id", "message_id"},
}
MAX_VALUE = 8 << 20  # bytes of one value, at most; SQLite refuses to read longer ones
_OPTIONAL = ("attributedBody", "associated_message_type", "item_type", "service", "date_edited")
_REACTIONS = range(2000, 4000)  # tapbacks and their removal: about a message, not one


@dataclass(slots=True)
class _Chat:
    last_ns: int
    conversation_id: str


_ORDER = (
    "SELECT m.ROWID, c.guid FROM message AS m "
    "LEFT JOIN chat_message_join AS j ON j.message_id = m.ROWID LEFT JOIN chat AS c ON c.ROWID = j.chat_id "
    "WHERE m.ROWID > ? ORDER BY c.guid, m.date, m.ROWID"
)


class ChatDb:
    """The messages of one database, first all, then those that came since. Raises BadRequest for what is no chat.db."""

    def __init__(self, path: Path, gap_s: float = GAP_S, me: str = "me") -> None:
        if not path.is_file():
            raise BadRequest(f"{path}: there is no such file")
        self._path, self._gap_ns, self._me = path, round(gap_s * 1e9), me
        self._chats: dict[str, _Chat] = {}
        self._last_row = 0
        uri = f"file:{quote(str(path.resolve()))}?mode=ro"
        try:
            self._db = sqlite3.connect(uri, uri=True, timeout=30)
            self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
            self._columns = self._checked()
        except sqlite3.Error as exc:
            raise BadRequest(f"{path} cannot be read as Messages' database: {exc}") from exc

    def close(self) -> None:
        self._db.close()

    def changes(self) -> int:
        """A number that changes when another process has written."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version

    def count(self) -> int:
        """How many messages `messages` will go through; 0 where that cannot be read."""
        try:
            found: int = self._db.execute("SELECT count(*) FROM message WHERE ROWID > ?", (self._last_row,)).fetchone()[
                0
            ]
        except sqlite3.Error:
            return 0
        return found

    def messages(self) -> Items:
        """Those that were not read before, by chat and time; a damaged database ends with a Problem."""
        newest = self._last_row
        try:
            # Times and chats first: what is put in order must not hold the texts.
            with closing(self._db.execute(_ORDER, (self._last_row,))) as rows:
                for row_id, chat in rows:
                    newest = max(newest, row_id)
                    yield from self._of_row(row_id, chat)
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            yield Problem(self._path.name, f"cannot be read to its end: {exc}")
        self._last_row = newest

    def _of_row(self, row_id: int, chat: str | None) -> Iterator[Exchange | Problem]:
        try:
            found = self._db.execute(self._sql(), (row_id,))
            row = found.fetchone()
        except sqlite3.DataError:
            yield Problem(f"message {row_id}", f"holds a value of more than {MAX_VALUE >> 20} MiB")
            return
        if row is not None:  # or it was deleted meanwhile
            names = (column[0] for column in found.description)
            yield from self._message(dict(zip(names, row, strict=True)) | {"chat": chat})

    def _checked(self) -> dict[str, set[str]]:
        """The columns of each table that is needed."""
        self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        # A view or virtual table of that name would run what its author wrote, without end if they like.
        for name, kind in self._db.execute(
            "SELECT name, type FROM sqlite_master WHERE type != 'table' OR rootpage = 0"
        ):
            if kind in ("table", "view") and name in _TABLES:
                raise BadRequest(f"{self._path} is not Messages' database: {name} is no table")
        found = {table: {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")} for table in _TABLES}
        for table, needed in _TABLES.items():
            if not found[table]:
                raise BadRequest(f"{self._path} is not Messages' database: it has no table {table}")
            if missing := needed - found[table]:
                raise BadRequest(f"{self._path}: table {table} has no column {min(missing)}")
        return found

    def _sql(self) -> str:
        # Column names are ours, not the caller's.
        optional = ", ".join(
            f"m.{name} AS {name}" if name in self._columns["message"] else f"NULL AS {name}" for name in _OPTIONAL
        )
        return (
            f"SELECT m.ROWID AS row_id, m.guid AS guid, m.text AS text, m.date AS date, m.is_from_me AS is_from_me, "
            f"h.id AS handle, {optional} "
            "FROM message AS m LEFT JOIN handle AS h ON h.ROWID = m.handle_id WHERE m.ROWID = ?"
        )

    def _message(self, row: dict[str, Any]) -> Iterator[Exchange | Problem]:
        if row["associated_message_type"] in _REACTIONS or row["item_type"]:
            return
        where = f"message {row['guid'] or row['row_id']}"
        at_ns = _time_ns(row["date"])
        if at_ns is None:
            yield Problem(where, f"has an unusable date {str(row['date'])[:50]!r}")
            return
        if not row["guid"]:
            yield Problem(where, "has no guid")
            return
        chat = str(row["chat"] or row["handle"] or "unknown")
        yield Exchange(
            source=SOURCE,
            conversation_id=self._conversation(chat, at_ns),
            message_id=str(row["guid"]),
            at_ns=at_ns,
            user_id=self._me if row["is_from_me"] else str(row["handle"] or "unknown"),
            text=_text(row),
            more={"spanledger.imessage.chat": chat, "spanledger.imessage.from_me": bool(row["is_from_me"])},
        )

    def _conversation(self, chat: str, at_ns: int) -> str:
        known = self._chats.get(chat)
        # A message that synchronises late belongs to the conversation of its time, not to the latest one.
        if known is None or at_ns - known.last_ns > self._gap_ns:
            began = datetime.fromtimestamp(at_ns // 10**9, UTC)
            known = self._chats[chat] = _Chat(at_ns, f"{chat}/{began:%Y-%m-%dT%H:%M:%SZ}")
        known.last_ns = max(known.last_ns, at_ns)
        return known.conversation_id


def _text(row: dict[str, Any]) -> str:
    """What the message says; newer systems leave `text` empty and keep it in `attributedBody`."""
    own_text = row["text"] if isinstance(row["text"], str) and row["text"] else ""
    body = row["attributedBody"]
    return own_text or typedstream.text(body if isinstance(body, bytes) else None)


def _time_ns(date: Any) -> int | None:
    """Nanoseconds since 1970 of Apple's time: nanoseconds since 2001, in old databases seconds."""
    if not isinstance(date, int) or date <= 0:
        return None
    ns = (date if date > 10**12 else date * 10**9) + APPLE_EPOCH_S * 10**9
    return ns if ns <= LATEST_NS else None
