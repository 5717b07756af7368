"""Spans of traces from genai_spans, read once each and in canonical names.

A row that the view wrote still holds the span's own words (`facts`); it is interpreted here and written back, so that
SQL sees what settlement saw. The row written back has the same version but for its last bit, so it replaces the first.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.forest import objects, one_chunk, values_of
from spanledger.dialects.alike import Facts
from spanledger.dialects.columns import column_reader
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
    told = table.filter(waiting).combine_chunks()
    if told.num_rows == 0:
        return table, told
    columns, mask = _by_columns(told)
    alone = told.filter(pa.array(~mask))
    if alone.num_rows:
        columns = {name: pa.concat_arrays([columns[name], values]) for name, values in one_by_one(alone).items()}
        told = pa.concat_tables([told.filter(pa.array(mask)), alone])
    count = told.num_rows
    columns |= {
        "facts": pa.array([[]] * count, told.schema.field("facts").type),
        "normalised": pa.array([1] * count, told.schema.field("normalised").type),
        "version": pc.bit_wise_or(told["version"], pa.scalar(1, pa.uint64())),  # the same but for the last bit
    }
    said = pa.table({field.name: columns.get(field.name, told[field.name]) for field in told.schema}, told.schema)
    return table.filter(pc.invert(waiting)), said


def _by_columns(told: pa.Table) -> tuple[dict[str, pa.Array], npt.NDArray[np.bool_]]:
    """The canonical columns of the spans that can be read many at a time, and which those are."""
    try:
        return column_reader().read(told)
    except Exception:  # what nobody foresaw is left to the reading of each span by itself
        log.exception("%d spans could not be read by columns", told.num_rows)
        empty = {name: pa.array([], told.schema.field(name).type) for name in CANONICAL}
        return empty, np.zeros(told.num_rows, np.bool_)


def one_by_one(told: pa.Table) -> dict[str, pa.Array]:
    """The canonical columns of spans in their own words, each read by itself."""
    facts = Facts(one_chunk(told["facts"]))
    keys = np.array(facts.words, dtype=object)[facts.key].tolist()
    values = objects(facts.values)[facts.item].tolist()
    bounds = [*facts.first.tolist(), len(keys)]
    read = interpreter().row
    rows: list[tuple[Any, ...]] = []
    for index, words in enumerate(zip(*(values_of(told[name]) for name in Said._fields[:6]), strict=True)):
        here = slice(bounds[index], bounds[index + 1])
        said = Said._make((*words, tuple(keys[here]), values[here]))
        try:
            rows.append(read(said))
        except Exception:  # one span that nobody foresaw must not hold up the books of all others
            row = told.slice(index, 1).to_pylist()[0]
            log.exception("span %s of trace %s could not be interpreted", row["span_id"], row["trace_id"])
            row["anomalies"] = [*row["anomalies"], "unreadable:span"]
            rows.append(tuple(row[name] for name in CANONICAL))
    columns = zip(CANONICAL, zip(*rows, strict=True), strict=True)
    return {name: _column(column, told.schema.field(name).type) for name, column in columns}


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
