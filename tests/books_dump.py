"""All levels of the books as plain rows, to compare two stores row for row.

`python books_dump.py DATA_DIR BODIES OUT` loads OTLP bodies into an embedded store, settles it and writes its dump:
BODIES is a JSON list of [signal, content type, base64 body], OUT a JSON object of tables.
"""

import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

from spanledger.books.entries import DIMS, MEASURES
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.stats import conversations, traces
from spanledger.stats.breakdown import DIMENSIONS, breakdown
from spanledger.store import migrate
from spanledger.store.client import Store, open_embedded

Rows = list[str]
Body = tuple[str, str, bytes]

# How a row came here, as opposed to what it says.
_WAY = {"Batch", "ReceivedAt", "batch", "received_at", "version", "posted_at", "run_id", "reason", "deleted"}
RAW = (
    "otel_traces",
    "otel_logs",
    "otel_metrics_gauge",
    "otel_metrics_sum",
    "otel_metrics_histogram",
    "otel_metrics_exponential_histogram",
    "otel_metrics_summary",
)
ROLLUPS = (
    "message_usage",
    "conversation_usage",
    "user_usage_1h",
    "usage_1m",
    "user_usage_1d",
    "usage_1h",
    "calls_by_time",
    "message_times",
    "messages_by_user",
)


def columns(store: Store, table: str) -> list[str]:
    rows = store.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED') ORDER BY position",
        {"table": table},
    )
    return [name for (name,) in rows if name not in _WAY]


def dump(store: Store) -> dict[str, Rows]:
    """Every table as sorted rows, each a JSON text with sorted keys, and `answers`, what the API says of them."""
    result = {table: _rows(store, f"SELECT {_list(columns(store, table))} FROM {table}") for table in RAW}
    for table in ("genai_spans", "messages"):
        result[table] = _rows(store, f"SELECT {_list(columns(store, table))} FROM {table} FINAL")
    dims = ["started_at" if dim == "started_at_ns" else dim for dim in DIMS]
    result["ledger"] = _summed(store, "ledger", dims)
    for table in ROLLUPS:
        result[table] = _summed(store, table, [c for c in columns(store, table) if c not in MEASURES])
    result["answers"] = sorted(_answers(store))
    return result


def _answers(store: Store) -> Iterator[str]:
    """What the API says: usage by every dimension and hour, every conversation, and of some the messages and traces."""

    def said(question: str, answer: Any) -> str:
        # Groups and equal times have no order of their own.
        return f"{question}: {json.dumps(_ordered(asdict(answer)), sort_keys=True, default=str)}"

    (tenants,) = store.query("SELECT groupUniqArray(tenant) FROM ledger")[0]
    for tenant in tenants:
        for dimension in DIMENSIONS:
            yield said(f"usage by {dimension}", breakdown(store, tenant, group_by=[dimension], bucket="hour"))
        for one in conversations.conversations(store, tenant, limit=10_000).items:
            yield said("conversation", one)
            if crc32(one.conversation_id.encode()) % 5:
                continue  # a fifth says enough, and each asks several questions
            for message in conversations.messages(store, tenant, one.conversation_id).items:
                yield said("message", message)
                if message.trace_id:
                    yield said("trace", traces.trace(store, tenant, message.trace_id))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(
            (_ordered(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True, default=str)
        )
    return value


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _summed(store: Store, table: str, keys: list[str]) -> Rows:
    measures = [m for m in MEASURES if m in columns(store, table)]
    sums = ", ".join(f"sum(t.{m}) AS {m}" for m in measures)
    alive = " OR ".join(f"{m} != 0" for m in measures)
    return _rows(store, f"SELECT {_list(keys)}, {sums} FROM {table} AS t GROUP BY {_list(keys)} HAVING {alive}")


def _rows(store: Store, sql: str) -> Rows:
    settings = {"output_format_json_quote_64bit_integers": 1, "output_format_json_quote_decimals": 1}
    lines = store.raw(sql, "JSONEachRow", settings=settings).decode().splitlines()
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in lines)


def submit(ingest: Ingest, bodies: list[Body]) -> None:
    for signal, content_type, body in bodies:
        answer = ingest.submit(signal, body, content_type)
        assert answer.accepted, (signal, answer)
    assert ingest.flush(120)


def pack(bodies: list[Body]) -> str:
    return json.dumps([(signal, kind, base64.b64encode(body).decode()) for signal, kind, body in bodies])


def unpack(text: str) -> list[Body]:
    return [(signal, kind, base64.b64decode(body)) for signal, kind, body in json.loads(text)]


def main() -> None:
    data_dir, bodies, out = (Path(word) for word in sys.argv[1:])
    settings = Settings(data_dir=data_dir, otlp_http_port=0, otlp_grpc_port=0)
    store = open_embedded(data_dir)
    migrate.migrate(store)
    ingest = Ingest(settings, store)
    ingest.start(listen=False)
    submit(ingest, unpack(bodies.read_text()))
    ledger = Ledger(store, settings)
    ledger.settler.settle_now()
    report = ledger.audit()
    written: dict[str, Any] = dump(store)
    out.write_text(json.dumps({"tables": written, "balanced": report.balanced}))
    ingest.stop()
    store.close()


if __name__ == "__main__":
    main()
