"""Reads posted entries for settlement and writes new ones. Nothing else writes to the ledger."""

from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.compute import Books
from spanledger.books.entries import DIMS, LINES, MEASURES, ZERO, Book, book_of
from spanledger.books.messages import MESSAGES, Message, message_rows
from spanledger.ledger.work import OF_RUN, rows_of
from spanledger.store.client import Store

_KEY = ", ".join(d for d in DIMS if d != "started_at_ns")
_POSTED = f"""
SELECT {", ".join("toUnixTimestamp64Nano(started_at) AS started_at_ns" if d == "started_at_ns" else d for d in DIMS)},
    {", ".join(f"sum(l.{m}) AS {m}" for m in MEASURES)}
FROM {{shards:Identifier}}.ledger AS l
{rows_of(OF_RUN)}
GROUP BY {_KEY}, started_at
"""


def posted_lines(store: Store, run_id: str, shards: str = "") -> pa.Table:
    """The lines as they stand for the traces in settle_work; `shards`: the database, if not this one."""
    table = store.arrow(_POSTED, {"run": run_id, "shards": shards or store.database})
    return pa.table({name: table[name].cast(kind) for name, kind in LINES.items()})


def posted(store: Store, run_id: str, shards: str = "") -> Book:
    """The same as a book."""
    book = book_of(posted_lines(store, run_id, shards))
    return {key: amounts for key, amounts in book.items() if amounts != ZERO}


# Tables that replace or sum do so when they merge: to do it for each new part too costs more than it saves.
QUICK_INSERT = {"optimize_on_insert": 0}


def post(store: Store, entries: pa.Table, reason: str, run_id: str, token: str = "", shards: str = "") -> None:
    """Appends entries to the ledger in one insert; the rollups follow within it. `token`: what makes it unique when
    one run posts several times; `shards` as in `posted`."""
    count = len(entries)
    if not count:
        return
    when = store.versions.next()  # not the clock: readers that follow the ledger by posted_at must find every entry
    columns: dict[str, Any] = {
        "posted_at": pa.repeat(pa.scalar(when, pa.timestamp("us", "UTC")), count),
        "reason": pa.repeat(reason, count),
        "run_id": pa.repeat(run_id, count),
        **{name: entries[name] for name in LINES if name != "started_at_ns"},
        "started_at": entries["started_at_ns"].cast(pa.timestamp("ns", "UTC")),
    }
    store.insert_arrow(
        f"{shards or store.database}.ledger",
        pa.table(columns),
        settings={"insert_deduplication_token": f"{reason}-{token or run_id}", **QUICK_INSERT},
    )


_LISTS = frozenset({"providers", "models", "tools"})


def upsert_messages(store: Store, books: Books, before: pa.Table) -> None:
    """Writes the messages, and a tombstone for each that stood elsewhere (`before`) and no longer does."""
    rows = books.message_rows
    gone = sorted(_keys(before.filter(pc.equal(before["kind"], "message"))) - _keys(rows)) if len(before) else []
    count = len(rows) + len(gone)
    if not count:
        return
    if gone:
        rows = pa.concat_tables([rows, message_rows(_tombstone(*key) for key in gone)])
    version = store.versions.next()
    columns: dict[str, Any] = {name: rows[name] for name in MESSAGES if name != "started_at_ns"}
    columns["started_at"] = rows["started_at_ns"].cast(pa.timestamp("ns", "UTC"))
    columns["deleted"] = pa.array([0] * (count - len(gone)) + [1] * len(gone), pa.uint8())
    columns["version"] = pa.repeat(pa.scalar(version, pa.uint64()), count)
    store.insert_arrow(
        # On a cluster a message lies where its id says, not where its traces do.
        f"{store.all_shards}.messages",
        pa.table(columns),
        settings={"insert_deduplication_token": f"messages-{version}", **QUICK_INSERT},
    )


_STORED = f"""
SELECT tenant, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent,
    toUnixTimestamp64Nano(started_at) AS started_at_ns, duration_ns, status, error_type, providers, models, tools,
    counted, prompt, prompt_version, variant
FROM {{shards:Identifier}}.messages FINAL
WHERE (tenant, conversation_id, message_id) IN
(
    SELECT tenant, conversation_id, message_id FROM {{shards:Identifier}}.ledger
    {rows_of(OF_RUN)}
    AND kind = 'message'
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


def _keys(rows: pa.Table) -> set[tuple[str, str, str]]:
    return set(zip(*(rows[name].to_pylist() for name in ("tenant", "conversation_id", "message_id")), strict=True))


def _tombstone(tenant: str, conversation_id: str, message_id: str) -> Message:
    texts: dict[str, Any] = {f.name: "" for f in fields(Message)}
    texts.update(tenant=tenant, conversation_id=conversation_id, message_id=message_id, started_at_ns=0, duration_ns=0)
    texts.update(providers=(), models=(), tools=(), counted=0)
    return Message(**texts)


def resume(store: Store) -> None:
    """To be called before the first posting: what was written before, maybe by a clock that ran ahead, is older."""
    store.versions.at_least(int(store.scalar("SELECT toUnixTimestamp64Micro(max(posted_at)) FROM ledger") or 0))
    for table in ("messages", "trace_anomalies"):
        store.versions.at_least(int(store.scalar(f"SELECT max(version) FROM {table}") or 0))
