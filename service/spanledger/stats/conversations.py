"""Messages and conversations: what they are (table `messages`) and what they used (the rollups of the ledger)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.errors import NotFound
from spanledger.stats.cursors import read_cursor, write_cursor
from spanledger.stats.times import ALL_TIME, Window, format_time, milliseconds
from spanledger.stats.usage import NONE, Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

_START: tuple[int, str] = (-(2**63), "")
_END: tuple[int, str] = (2**63 - 1, "")


@dataclass(frozen=True)
class Message:
    """One exchange: what the user asked and all that was done to answer it. `status` is `ok`, `error`, or `abandoned`:
    the process that ran it ended before it did."""

    message_id: str
    conversation_id: str
    user_id: str
    trace_id: str
    correlation_id: str
    started_at: str
    duration_ms: float
    service: str
    workflow: str
    agent: str
    providers: list[str]
    models: list[str]
    tools: list[str]
    status: str
    error_type: str
    usage: Usage


@dataclass(frozen=True)
class Conversation:
    """`message_count` counts user and assistant messages: two an exchange, one where it failed.

    `last_at` is the end of the last message, `user_id` is that of the last one that has a user. `status` is `sealed`
    when a statement says what it came to and nobody has gone on with it since, else `active`.
    """

    conversation_id: str
    user_id: str
    message_count: int
    first_at: str
    last_at: str
    status: str
    models: list[str]
    usage: Usage


@dataclass(frozen=True)
class MessagePage:
    items: list[Message]
    next_cursor: str | None


@dataclass(frozen=True)
class ConversationPage:
    items: list[Conversation]
    next_cursor: str | None


def message(store: Store, tenant: str, message_id: str) -> Message:
    """Raises NotFound."""
    rows = store.dicts(queries.sql("message"), {"tenant": tenant, "message_id": message_id})
    if not rows:
        raise NotFound(f"there is no message {message_id!r}")
    return _messages(store, tenant, rows)[0]


def messages(
    store: Store, tenant: str, conversation_id: str, limit: int = 1000, cursor: str | None = None
) -> MessagePage:
    """The messages of a conversation in time order. Raises NotFound, BadRequest for a broken cursor."""
    after_ns, after_id = read_cursor(cursor) if cursor else _START
    rows = store.dicts(
        queries.sql("conversation_messages"),
        {
            "tenant": tenant,
            "conversation_id": conversation_id,
            "after_ns": after_ns,
            "after_id": after_id,
            "limit": limit + 1,
        },
    )
    if not rows and not cursor:
        raise NotFound(f"there is no conversation {conversation_id!r}")
    page = rows[:limit]
    more = write_cursor(page[-1]["started_ns"], page[-1]["message_id"]) if len(rows) > limit else None
    return MessagePage(_messages(store, tenant, page), more)


def conversation(store: Store, tenant: str, conversation_id: str) -> Conversation:
    """Raises NotFound."""
    rows = store.dicts(queries.sql("conversation"), {"tenant": tenant, "conversation_id": conversation_id})
    if not rows:
        raise NotFound(f"there is no conversation {conversation_id!r}")
    return _conversations(store, tenant, rows)[0]


def conversations(
    store: Store,
    tenant: str,
    window: Window = ALL_TIME,
    user_id: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> ConversationPage:
    """Conversations of which a message (of that user) started in the window, latest activity first.

    Their figures are those of the whole conversation. Raises BadRequest for a broken cursor.
    """
    before_ns, before_id = read_cursor(cursor) if cursor else _END
    rows = store.dicts(
        queries.sql("conversations"),
        {
            "tenant": tenant,
            "user_id": user_id,
            "first_ns": window.first_ns,
            "last_ns": window.last_ns,
            "before_ns": before_ns,
            "before_id": before_id,
            "limit": limit + 1,
        },
    )
    page = rows[:limit]
    more = write_cursor(page[-1]["last_ns"], page[-1]["conversation_id"]) if len(rows) > limit else None
    return ConversationPage(_conversations(store, tenant, page), more)


def _messages(store: Store, tenant: str, rows: Sequence[Mapping[str, Any]]) -> list[Message]:
    used: dict[tuple[str, str], Usage] = {}
    for conversation_id in {row["conversation_id"] for row in rows}:
        ids = [row["message_id"] for row in rows if row["conversation_id"] == conversation_id]
        found = store.dicts(
            queries.sql("message_usage"),
            {"tenant": tenant, "message_ids": ids, "conversation_id": conversation_id},
        )
        used |= {(conversation_id, row["message_id"]): usage_of(row) for row in found}
    return [_message(row, used.get((row["conversation_id"], row["message_id"]), NONE)) for row in rows]


def _message(row: Mapping[str, Any], usage: Usage) -> Message:
    return Message(
        message_id=row["message_id"],
        conversation_id=row["conversation_id"],
        user_id=row["user_id"],
        trace_id=row["trace_id"],
        correlation_id=row["correlation_id"],
        started_at=format_time(row["started_ns"]),
        duration_ms=milliseconds(row["duration_ns"]),
        service=row["service"],
        workflow=row["workflow"],
        agent=row["agent"],
        providers=list(row["providers"]),
        models=list(row["models"]),
        tools=list(row["tools"]),
        status="abandoned" if row["error_type"] == "abandoned" else row["status"],
        error_type=row["error_type"],
        usage=usage,
    )


def _conversations(store: Store, tenant: str, rows: Sequence[Mapping[str, Any]]) -> list[Conversation]:
    if not rows:
        return []
    ids = [row["conversation_id"] for row in rows]
    found = store.dicts(queries.sql("conversation_usage"), {"tenant": tenant, "conversation_ids": ids})
    sealed = store.dicts(queries.sql("conversation_seals"), {"tenant": tenant, "conversation_ids": ids})
    seals = {row["conversation_id"]: (row["messages"], row["last_ns"]) for row in sealed}
    used = {row["conversation_id"]: usage_of(row) for row in found}
    return [
        Conversation(
            conversation_id=row["conversation_id"],
            user_id=row["last_user"],
            message_count=row["message_count"],
            first_at=format_time(row["first_ns"]),
            last_at=format_time(row["last_ns"]),
            status=_status(row, seals.get(row["conversation_id"])),
            models=[model for model in row["all_models"] if model],
            usage=used.get(row["conversation_id"], NONE),
        )
        for row in rows
    ]


def _status(row: Mapping[str, Any], seal: tuple[int, int] | None) -> str:
    """A seal says how many messages there were and when the last one ended."""
    if seal is None:
        return "active"
    messages, last_ns = seal
    return "active" if row["message_count"] > messages and row["last_ns"] // 1000 > last_ns // 1000 else "sealed"
