"""Spans of traces from genai_spans, read once each and in canonical names.

A row that the view wrote still holds the span's own words (`facts`); it is interpreted here and written back, so that
SQL sees what settlement saw. The row written back has the same version but for its last bit, so it replaces the first.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.ledger.forest import objects, one_chunk, values_of
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
_ASKED = ("scope", "span_name", "status", "started_at_ns", "duration_ns", "anomalies")  # by interpretation
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


def read(store: Store, run_id: str, from_round: int = 0) -> tuple[pa.Table, int | None]:
    """The spans of the traces in settle_work (rounds ≥ `from_round`), each once, by tenant, trace and span id; and when
    (ms) the first of those came that nobody had read before, None when there was none of them.

    Those of round 0 lie on this store's shard, copies of their calls (later rounds) may lie on any. Those not yet
    interpreted are, and are written back. Raises StoreError.
    """
    shards = store.all_shards if from_round else store.database
    table = store.arrow(_READ, {"run": run_id, "round": from_round, "shards": shards})
    plain, told = interpreted(table)
    if told.num_rows == 0:
        return plain, None
    write_back(store, told, shards)
    return pa.concat_tables([plain, told]).sort_by(ORDER), pc.min(told["received_at_ms"]).as_py()


def interpreted(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that were canonical already, and those interpreted now; same columns."""
    waiting = pc.equal(table["normalised"], 0)
    told = table.filter(waiting)
    if told.num_rows == 0:
        return table, told
    rows = _read(told)
    for name in CANONICAL:
        told = _with(told, name, _column([row[name] for row in rows], told.schema.field(name).type))
    told = _with(told, "facts", pa.array([[]] * len(rows), told.schema.field("facts").type))
    told = _with(told, "normalised", pa.array([1] * len(rows), told.schema.field("normalised").type))
    told = _with(told, "version", _marked(told["version"]))
    return table.filter(pc.invert(waiting)), told


def _read(told: pa.Table) -> list[Mapping[str, Any]]:
    """The canonical columns of rows, each read from its facts."""
    facts = one_chunk(told["facts"])
    keys, values = objects(facts.keys).tolist(), objects(facts.items).tolist()
    bounds = facts.offsets.to_pylist()
    asked = {name: values_of(told[name]) for name in _ASKED}
    read = interpreter().columns
    rows: list[Mapping[str, Any]] = []
    for index, said in enumerate(zip(*asked.values(), strict=True)):
        span = dict(zip(_ASKED, said, strict=True))
        first, last = bounds[index], bounds[index + 1]
        span["facts"] = list(zip(keys[first:last], values[first:last], strict=True))
        try:
            rows.append(read(span))
        except Exception:  # one span that nobody foresaw must not hold up the books of all others
            row = told.slice(index, 1).to_pylist()[0]
            log.exception("span %s of trace %s could not be interpreted", row["span_id"], row["trace_id"])
            rows.append({**row, "anomalies": [*row["anomalies"], "unreadable:span"]})
    return rows


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    position = table.schema.get_field_index(name)
    return table.set_column(position, table.schema.field(position), values)


def _marked(versions: pa.ChunkedArray) -> pa.Array:
    """The same versions (16 bytes, the lowest first) but for their last bit."""
    raw = np.frombuffer(b"".join(versions.to_pylist()), np.uint8).reshape(-1, 16).copy()
    raw[:, 0] |= 1
    return pa.Array.from_buffers(versions.type, len(versions), [None, pa.py_buffer(raw.tobytes())])


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid:  # lone surrogates and the like, which some sender's JSON may hold
        return pa.array([_clean(value) for value in values], kind)


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
