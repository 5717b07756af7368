"""Messages and conversations: what they are (table `messages`) and what they used (the rollups of the ledger)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.errors import NotFound
from spanledger.stats.cursors import read_cursor, write_cursor
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.times import ALL_TIME, SECOND, Window, format_time, milliseconds
from spanledger.stats.usage import NONE, Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

_START: tuple[int, str] = (-(2**63), "")
_END: tuple[int, str] = (2**63 - 1, "")
_FIRST_LOOK_NS = 3600 * SECOND  # how far back the first look for the latest ones goes; each further one _MORE × as far
_MORE = 8


@dataclass(frozen=True)
class Message:
    """One exchange: the user's question and all work to answer it. `status` is `ok`, `error`, or `abandoned`:
    the process that ran it ended before it did."""

    message_id: str
    conversation_id: OrNull
    user_id: OrNull
    trace_id: OrNull
    correlation_id: OrNull
    started_at: Time
    duration_ms: float
    service: OrNull
    workflow: OrNull
    agent: OrNull
    providers: list[str]
    models: list[str]
    tools: list[str]
    status: str
    error_type: OrNull
    usage: Usage


@dataclass(frozen=True)
class Conversation:
    """`message_count` counts user and assistant messages: two an exchange, one where it failed.

    `last_at` is the end of the last message, `user_id` is that of the last one that has a user. `status` is `sealed`
    when a statement says what it came to and nobody has gone on with it since, else `active`.
    """

    conversation_id: str
    user_id: OrNull
    message_count: int
    first_at: Time
    last_at: Time
    status: str
    models: list[str]
    usage: Usage


@dataclass(frozen=True)
class MessagePage:
    items: list[Message]
    next_cursor: str | None


@dataclass(frozen=True)
class ConversationPage:
    """`usage`, `count`: usage and number of the matching conversations; None unless requested."""

    items: list[Conversation]
    next_cursor: str | None
    usage: Usage | None = None
    count: int | None = None


def message(store: Store, tenant: str, message_id: str) -> Message:
    """Raises NotFound."""
    return shown(store, tenant, [message_row(store, tenant, message_id)])[0]


def message_row(store: Store, tenant: str, message_id: str) -> Mapping[str, Any]:
    """A message without what it used, for `shown`. Raises NotFound."""
    rows = store.dicts(queries.sql("message"), {"tenant": tenant, "message_id": message_id}, settings=ALONE)
    if not rows:
        raise NotFound(f"there is no message {message_id!r}")
    return rows[0]


def messages(
    store: Store, tenant: str, conversation_id: str, limit: int = 1000, cursor: str | None = None
) -> MessagePage:
    """The messages of a conversation in time order. Raises NotFound, BadRequest for a broken cursor."""
    page, more = rows_of(store, tenant, conversation_id, limit, cursor)
    return MessagePage(shown(store, tenant, page), more)


def rows_of(
    store: Store, tenant: str, conversation_id: str, limit: int, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """The messages without what they used, and the cursor of the next page. Raises NotFound, BadRequest."""
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
    return page, write_cursor(page[-1]["started_ns"], page[-1]["message_id"]) if len(rows) > limit else None


def look_for(store: Store, tenant: str, conversation_id: str) -> None:
    """Raises NotFound where there is no such conversation."""
    rows_of(store, tenant, conversation_id, 1)


def conversation(store: Store, tenant: str, conversation_id: str) -> Conversation:
    """Raises NotFound."""
    rows = store.dicts(queries.sql("conversation"), {"tenant": tenant, "conversation_ids": [conversation_id]})
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
    """Conversations of which a message (of that user) started in the window, the one with the latest such first.

    Their figures are those of the whole conversation. Raises BadRequest for a broken cursor.
    """
    before_ns, before_id = read_cursor(cursor) if cursor else _END
    rows = _latest_ids(store, tenant, window, user_id, limit + 1, before_ns, before_id)
    page = rows[:limit]
    more = write_cursor(page[-1]["last_ns"], page[-1]["conversation_id"]) if len(rows) > limit else None
    return ConversationPage(by_ids(store, tenant, [row["conversation_id"] for row in page]), more)


def by_ids(store: Store, tenant: str, ids: Sequence[str]) -> list[Conversation]:
    """Those that are there, in the order of `ids`."""
    if not ids:
        return []
    rows = store.dicts(queries.sql("conversation"), {"tenant": tenant, "conversation_ids": list(ids)})
    by_id = {row["conversation_id"]: row for row in rows}
    return _conversations(store, tenant, [by_id[name] for name in ids if name in by_id])


def _latest_ids(
    store: Store, tenant: str, window: Window, user_id: str, limit: int, before_ns: int, before_id: str
) -> list[dict[str, Any]]:
    """By looks further and further back, each at one stretch of time. A conversation is found where its last message
    of the window is; those with a later one are left out of the stretches before it."""
    name = "conversations_of_user" if user_id else "conversations"
    parameters: dict[str, Any] = {"tenant": tenant, "first_ns": window.first_ns, "last_ns": window.last_ns}
    parameters |= {"user_id": user_id} if user_id else {}
    ends = [row[0] for row in store.query(queries.sql(f"{name}_ends"), parameters, settings=ALONE)]
    if not ends:
        return []
    first, last = min(ends), max(ends)
    rows: list[dict[str, Any]] = []
    end, reach = min(last, before_ns), (last - first + 1 if user_id else _FIRST_LOOK_NS)
    while len(rows) < limit and end >= first:
        begin = max(first, end - reach + 1)
        rows += store.dicts(
            queries.sql(name),
            {
                **parameters,
                "begin_ns": begin,
                "end_ns": end,
                "before_ns": before_ns,
                "before_id": before_id,
                "limit": limit - len(rows),
            },
        )
        end, reach = begin - 1, reach * _MORE
    return rows


def shown(store: Store, tenant: str, rows: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Messages from their rows, in the same order, with what they used."""
    if not rows:
        return []
    ids = {
        "message_ids": sorted({row["message_id"] for row in rows}),
        "conversation_ids": sorted({row["conversation_id"] for row in rows}),
    }
    found = store.dicts(queries.sql("message_usage"), {"tenant": tenant, **ids}, settings=ALONE)
    used = {(row["conversation_id"], row["message_id"]): usage_of(row) for row in found}
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
    # From where usage comes: both move together, also while settlement is between a message and its entries.
    counted = {row["conversation_id"]: row["messages"] for row in found}
    return [
        Conversation(
            conversation_id=row["conversation_id"],
            user_id=row["last_user"],
            message_count=counted.get(row["conversation_id"], 0),
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
