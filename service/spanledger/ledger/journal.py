"""Reads what is posted and writes new entries: the ledger's only reader for settlement, and its only writer."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pyarrow as pa

from spanledger.books.entries import DIMS, MEASURES, MONEY, ZERO, Book
from spanledger.books.messages import Message
from spanledger.store.client import Store

_KEY = ", ".join(d for d in DIMS if d != "started_at_ns")
_POSTED = f"""
SELECT {", ".join("toUnixTimestamp64Nano(started_at) AS started_at_ns" if d == "started_at_ns" else d for d in DIMS)},
    {", ".join(f"sum(l.{m}) AS {m}" for m in MEASURES)}
FROM {{shards:Identifier}}.ledger AS l
WHERE (tenant, trace_id) IN (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}})
    AND trace_id IN (SELECT trace_id FROM settle_work WHERE run_id = {{run:String}})
GROUP BY {_KEY}, started_at
"""


def posted(store: Store, run_id: str, shards: str = "") -> Book:
    """The book as it stands for the traces in settle_work; `shards`: the database, if not this one."""
    table = store.arrow(_POSTED, {"run": run_id, "shards": shards or store.database})
    columns = [table[name].to_pylist() for name in (*DIMS, *MEASURES)]
    width = len(DIMS)
    return {row[:width]: row[width:] for row in zip(*columns, strict=True) if row[width:] != ZERO}


def post(store: Store, entries: Book, reason: str, run_id: str, token: str = "", shards: str = "") -> None:
    """Appends entries to the ledger in one insert; the rollups follow within it. `token`: what makes it unique when
    one run posts several times; `shards` as in `posted`."""
    if not entries:
        return
    when = store.versions.next()  # not the clock: whoever follows the ledger by posted_at must find every entry
    count = len(entries)
    columns: dict[str, pa.Array] = {
        "posted_at": pa.array([when] * count, pa.timestamp("us", "UTC")),
        "reason": pa.array([reason] * count),
        "run_id": pa.array([run_id] * count),
    }
    for position, name in enumerate(DIMS):
        values = [key[position] for key in entries]
        if name == "started_at_ns":
            columns["started_at"] = pa.array(values, pa.timestamp("ns", "UTC"))
        else:
            columns[name] = pa.array(values, pa.string())
    for position, name in enumerate(MEASURES):
        values = [amounts[position] for amounts in entries.values()]
        columns[name] = pa.array(values, pa.decimal128(38, 15) if name in MONEY else pa.int64())
    store.insert_arrow(
        f"{shards or store.database}.ledger",
        pa.table(columns),
        settings={"insert_deduplication_token": f"{reason}-{token or run_id}", **QUICK_INSERT},
    )


# Tables that replace or sum do so when they merge: to do it for each new part too costs more than it saves.
QUICK_INSERT = {"optimize_on_insert": 0}
_LISTS = frozenset({"providers", "models", "tools"})


def upsert_messages(store: Store, messages: Iterable[Message], before: Book, after: Book) -> None:
    """Writes the messages, and a tombstone for each that stood elsewhere (`before`) and no longer does."""
    rows = [_row(message) for message in messages]
    rows += [_row(_tombstone(*key), deleted=1) for key in sorted(_keys(before) - _keys(after))]
    if not rows:
        return
    version = store.versions.next()
    columns: dict[str, pa.Array] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == "started_at":
            columns[name] = pa.array(values, pa.timestamp("ns", "UTC"))
        elif name in _LISTS:
            columns[name] = pa.array(values, pa.list_(pa.string()))
        else:
            columns[name] = pa.array(values)
    columns["version"] = pa.array([version] * len(rows), pa.uint64())
    store.insert_arrow(
        # On a cluster a message lies where its id says, not where its traces do.
        f"{store.all_shards}.messages",
        pa.table(columns),
        settings={"insert_deduplication_token": f"messages-{version}", **QUICK_INSERT},
    )


_STORED = """
SELECT tenant, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent,
    toUnixTimestamp64Nano(started_at) AS started_at_ns, duration_ns, status, error_type, providers, models, tools,
    counted, prompt, prompt_version, variant
FROM {shards:Identifier}.messages FINAL
WHERE (tenant, conversation_id, message_id) IN
(
    SELECT tenant, conversation_id, message_id FROM {shards:Identifier}.ledger
    WHERE kind = 'message'
        AND (tenant, trace_id) IN (SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String})
)
"""


def stored_messages(store: Store, run_id: str) -> dict[tuple[str, str, str], Message]:
    """The messages as they stand for the traces in settle_work, by (tenant, conversation, message)."""
    result = {}
    for row in store.dicts(_STORED, {"run": run_id, "shards": store.all_shards}):
        values: dict[str, Any] = {name: tuple(value) if name in _LISTS else value for name, value in row.items()}
        message = Message(**values)
        result[message.tenant, message.conversation_id, message.message_id] = message
    return result


def _keys(book: Book) -> set[tuple[str, str, str]]:
    kind, tenant = DIMS.index("kind"), DIMS.index("tenant")
    conversation, message = DIMS.index("conversation_id"), DIMS.index("message_id")
    return {(key[tenant], key[conversation], key[message]) for key in book if key[kind] == "message"}


def _tombstone(tenant: str, conversation_id: str, message_id: str) -> Message:
    texts: dict[str, Any] = {f.name: "" for f in fields(Message)}
    texts.update(tenant=tenant, conversation_id=conversation_id, message_id=message_id, started_at_ns=0, duration_ns=0)
    texts.update(providers=(), models=(), tools=(), counted=0)
    return Message(**texts)


def _row(message: Message, deleted: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {f.name: getattr(message, f.name) for f in fields(Message)}
    row["started_at"] = row.pop("started_at_ns")
    row["deleted"] = deleted
    return row


def resume(store: Store) -> None:
    """To be called before the first posting: what was written before, maybe by a clock that ran ahead, is older."""
    store.versions.at_least(int(store.scalar("SELECT toUnixTimestamp64Micro(max(posted_at)) FROM ledger") or 0))
    for table in ("messages", "trace_anomalies"):
        store.versions.at_least(int(store.scalar(f"SELECT max(version) FROM {table}") or 0))
