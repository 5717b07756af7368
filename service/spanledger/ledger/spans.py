"""Spans of traces from genai_spans, read once each and in canonical names.

A row that the view wrote still holds the span's own words (`facts`); it is interpreted here and written back, so that
SQL sees what settlement saw. The row written back has the same version but for its last bit, so it replaces the first.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.forest import codes, objects, one_chunk, values_of
from spanledger.dialects.interpreter import CANONICAL, Said, interpreter
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
    columns = zip(*_read(told), strict=True)
    for name, values in zip(CANONICAL, columns, strict=True):
        told = _with(told, name, _column(values, told.schema.field(name).type))
    count = told.num_rows
    told = _with(told, "facts", pa.array([[]] * count, told.schema.field("facts").type))
    told = _with(told, "normalised", pa.array([1] * count, told.schema.field("normalised").type))
    told = _with(told, "version", _marked(told["version"]))
    return table.filter(pc.invert(waiting)), told


def _read(told: pa.Table) -> list[tuple[Any, ...]]:
    """The canonical columns of rows, each read from its facts."""
    bounds, keys, values = _by_key(one_chunk(told["facts"]))
    asked = (values_of(told[name]) for name in Said._fields[:6])
    read = interpreter().row
    rows: list[tuple[Any, ...]] = []
    for index, words in enumerate(zip(*asked, strict=True)):
        here = slice(bounds[index], bounds[index + 1])
        said = Said._make((*words, tuple(keys[here]), values[here]))
        try:
            rows.append(read(said))
        except Exception:  # one span that nobody foresaw must not hold up the books of all others
            row = told.slice(index, 1).to_pylist()[0]
            log.exception("span %s of trace %s could not be interpreted", row["span_id"], row["trace_id"])
            row["anomalies"] = [*row["anomalies"], "unreadable:span"]
            rows.append(tuple(row[name] for name in CANONICAL))
    return rows


def _by_key(facts: pa.MapArray) -> tuple[list[int], list[str], list[str]]:
    """Where the facts of each span begin, their keys and values; in the order of keys, whatever the sender's was, equal
    keys as they came: spans with the same keys are then of one shape."""
    offsets = facts.offsets.to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    numbers, words = codes(facts.keys.slice(first, last - first))
    rank = np.empty(len(words), np.int64)
    rank[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    order = np.lexsort((rank[numbers], np.repeat(np.arange(len(facts)), np.diff(offsets))))
    keys, values = np.array(words, dtype=object), objects(facts.items.slice(first, last - first))
    return (offsets - first).tolist(), keys[numbers[order]].tolist(), values[order].tolist()


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    position = table.schema.get_field_index(name)
    return table.set_column(position, table.schema.field(position), values)


def _marked(versions: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same versions but for their last bit."""
    return pc.bit_wise_or(versions, pa.scalar(1, pa.uint64()))


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
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
        settings={"insert_deduplicate": 0, "optimize_on_insert": 0},
    )
