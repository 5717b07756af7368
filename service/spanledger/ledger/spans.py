"""Spans of traces from genai_spans, read once each and in canonical names.

A row that the view wrote still holds the span's own words (`facts`); it is interpreted here and written back, so that
SQL sees what settlement saw. The row written back has the same version but for its last bit, so it replaces the first.
"""

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.ledger.interpret import interpreter
from spanledger.store.client import Store

log = logging.getLogger(__name__)

_PLAIN = (
    "tenant",
    "trace_id",
    "span_id",
    "parent_span_id",
    "version",
    "duration_ns",
    "service",
    "scope",
    "span_name",
    "batch",
)
CANONICAL = (
    "dialect",
    "role",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "server_address",
    "service_tier",
    "stream",
    "finish_reason",
    "status",
    "error_type",
    "conversation_id",
    "message_id",
    "user_id",
    "correlation_id",
    "workflow",
    "agent",
    "tool",
    "tools_requested",
    "prompt",
    "prompt_version",
    "variant",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "usage_estimated",
    "cost_claim_usd",
    "cost_claim_source",
    "response_cache",
    "saved_usd",
    "time_to_first_chunk_ns",
    "anomalies",
)
TIMES = (
    "toUnixTimestamp64Nano(started_at) AS started_at_ns",
    "toUnixTimestamp64Milli(received_at) AS received_at_ms",
)
COLUMNS = ", ".join((*_PLAIN, *CANONICAL, *TIMES, "facts", "normalised"))
ORDER = [("tenant", "ascending"), ("trace_id", "ascending"), ("span_id", "ascending")]

_READ = f"""
WITH work AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}} AND round >= {{round:UInt8}})
SELECT {COLUMNS}
FROM {{shards:Identifier}}.genai_spans
WHERE (tenant, trace_id) IN work AND trace_id IN (SELECT trace_id FROM work)
ORDER BY tenant, trace_id, span_id, version DESC
LIMIT 1 BY tenant, trace_id, span_id
"""


def read(store: Store, run_id: str, from_round: int = 0) -> pa.Table:
    """The spans of the traces in settle_work (rounds ≥ `from_round`), each once, by tenant, trace and span id.

    Those of round 0 lie on this store's shard, copies of their calls (later rounds) may lie on any. Those not yet
    interpreted are, and are written back. Raises StoreError.
    """
    shards = store.all_shards if from_round else store.database
    table = store.arrow(_READ, {"run": run_id, "round": from_round, "shards": shards})
    plain, told = interpreted(table)
    if told.num_rows == 0:
        return plain
    write_back(store, told, shards)
    return pa.concat_tables([plain, told]).sort_by(ORDER)


def interpreted(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that were canonical already, and those interpreted now; same columns."""
    waiting = pc.equal(table["normalised"], 0)
    plain = table.filter(pc.invert(waiting))
    rows = table.filter(waiting).to_pylist()
    for row in rows:
        try:
            row.update(interpreter().columns(row))
        except Exception:  # one span that nobody foresaw must not hold up the books of all others
            log.exception("span %s of trace %s could not be interpreted", row["span_id"], row["trace_id"])
            row["anomalies"] = [*row["anomalies"], "unreadable:span"]
        row["facts"] = []
        row["normalised"] = 1
        row["version"] = bytes([row["version"][0] | 1]) + row["version"][1:]  # little-endian
    columns = [_column(rows, field) for field in table.schema]
    return plain, pa.Table.from_arrays(columns, schema=table.schema)


def _column(rows: list[dict[str, Any]], field: pa.Field) -> pa.Array:
    values = [row[field.name] for row in rows]
    try:
        return pa.array(values, field.type)
    except pa.ArrowInvalid:  # lone surrogates and the like, which some sender's JSON may hold
        return pa.array([_clean(value) for value in values], field.type)


def _clean(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def write_back(store: Store, table: pa.Table, shards: str = "") -> None:
    """Writes interpreted rows over those that the view wrote; `shards`: the database, if not this one."""
    columns: Mapping[str, pa.ChunkedArray] = {name: table[name] for name in (*_PLAIN, *CANONICAL, "normalised")}
    store.insert_arrow(
        f"{shards or store.database}.genai_spans",
        pa.table(
            {
                **columns,
                "started_at": table["started_at_ns"].cast(pa.timestamp("ns", "UTC")),
                "received_at": table["received_at_ms"].cast(pa.timestamp("ms", "UTC")),
            }
        ),
        settings={"insert_deduplicate": 0},
    )
