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


def land_calls(store: Store, tenant: str, traces: int = 3, ago_minutes: int = 1) -> None:
    """Raw spans of a tenant, as a loader would insert them."""
    store.command(
        """
        INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, Duration, StatusCode,
            SpanAttributes, Tenant)
        SELECT now64(9) - toIntervalMinute({ago:UInt32}), concat({tenant:String}, '-', toString(intDiv(number, 2))),
            toString(number % 2), if(number % 2 = 0, '', '0'), 'span', 'shop', 1000000, 'Ok',
            if(number % 2 = 0, map('session.id', 'c', 'user.id', 'ada'),
                map('gen_ai.operation.name', 'chat', 'gen_ai.provider.name', 'openai',
                    'gen_ai.request.model', 'gpt-4o-mini',
                    'gen_ai.usage.input_tokens', toString(100 + number), 'gen_ai.usage.output_tokens', '7')),
            {tenant:String}
        FROM numbers({rows:UInt32})
        """,
        {"tenant": tenant, "rows": traces * 2, "ago": ago_minutes},
    )
