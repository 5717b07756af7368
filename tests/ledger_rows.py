"""Rows for tests that read, written straight into the tables, so that reading is tested alone."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from spanledger.store.client import Store

SECOND = 1_000_000_000
NOON = 1_795_262_400 * SECOND  # 2026-11-21T12:00:00Z

Post = Callable[..., None]


def ledger_row(number: int, tenant: str, **columns: Any) -> dict[str, Any]:
    """A ledger entry about one served and computed call, unless `columns` say otherwise; `cost_usd` as text."""
    row: dict[str, Any] = {
        "tenant": tenant,
        "kind": "call",
        "trace_id": f"trace-{number}",
        "span_id": f"span-{number}",
        "started_at": NOON,
        "llm_calls": 1,
        "computed_calls": columns.get("llm_calls", 1),
        "status": "ok",
        **columns,
    }
    if row["kind"] != "call":
        row |= {"llm_calls": 0, "computed_calls": 0}
    return row | {"cost_usd": Decimal(row.get("cost_usd", "0"))}


def write_rows(store: Store, table: str, rows: list[dict[str, Any]]) -> None:
    """One insert for rows that may name different columns."""
    names = sorted({name for row in rows for name in row})
    kinds = {name: type(row[name]) for row in rows for name in row}
    store.insert(table, names, [[row.get(n, kinds[n]()) for n in names] for row in rows])
