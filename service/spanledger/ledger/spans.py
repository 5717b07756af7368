"""Reads the spans of traces from genai_spans, each once and with canonical names.

A row that the view wrote still holds the attributes of the span (`facts`). It is interpreted here and written back, so
that SQL queries see what settlement used. The row written back has the same version but for its last bit, so it
replaces the first."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.forest import objects, one_chunk, values_of
from spanledger.dialects.alike import Facts
from spanledger.dialects.columns import column_reader
from spanledger.dialects.interpreter import CANONICAL, SpanFacts, interpreter
from spanledger.dialects.usage import COLUMNS as COUNTS
from spanledger.ledger.work import rows_of
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
_KEY = [name for name, _ in ORDER]
_TEXTS = pa.list_(pa.field("item", pa.string(), nullable=False))
_MONEY = pa.decimal128(38, 15)
_KINDS: dict[str, pa.DataType] = {
    **dict.fromkeys(CANONICAL, pa.string()),
    **dict.fromkeys((*COUNTS, "told_calls", "time_to_first_chunk_ns"), pa.int64()),
    **dict.fromkeys(("stream", "usage_estimated"), pa.uint8()),
    **dict.fromkeys(("cost_claim_usd", "saved_usd"), _MONEY),
    **dict.fromkeys(("tools_requested", "anomalies"), _TEXTS),
}

_WORK = """
WITH work AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String} AND round >= {round:UInt8})"""
_OF_WORK = f"FROM {{shards:Identifier}}.genai_spans\n{rows_of('work')}"
_READ = f"{_WORK}\nSELECT {COLUMNS}, arrived\n{_OF_WORK}"
# What the view writes; all other columns of such a row are empty.
_READ_NARROW = f"""{_WORK}
SELECT {", ".join((*_PLAIN, "status", "anomalies", *TIMES, "facts", "normalised", "arrived"))}
{_OF_WORK}
"""


# The rows of some traces lie in many places: by default each place is a block, and each block has a price of its own.
_LARGE_BLOCKS = {"max_threads": 1, "preferred_block_size_bytes": 16 * 1024 * 1024}


class TooMany(Exception):
    """More rows were found than asked for."""


class Found(NamedTuple):
    """Spans of traces, each once and in canonical names; and these with what else has keys in call_keys: rows that were
    interpreted before and replaced since."""

    spans: pa.Table
    with_keys: pa.Table


def read(
    store: Store, run_id: str, from_round: int = 0, mostly_new: bool = False, at_most: int = 0
) -> tuple[Found, int | None]:
    """The spans of the traces in settle_work (rounds ≥ `from_round`), by tenant, trace and span id; and when (ms) the
    first of those came that nobody had read before, None when there was none of them.

    Those of round 0 lie on this store's shard, copies of their calls (later rounds) may lie on any. Those not yet
    interpreted are, and are written back. `mostly_new`: most of them are not, which says how to ask. Raises StoreError;
    TooMany when `at_most` rows or more were found (where most were read before, it is not asked for).
    """
    shards = store.all_shards if from_round else store.database
    parameters = {"run": run_id, "round": from_round, "shards": shards}
    if from_round:
        table, replaced = _few(store, parameters, at_most)
    else:
        table, replaced = _fresh(store, parameters, at_most) if mostly_new else _all(store, parameters)
    plain, newly = interpreted(table.append_column("place", pa.array(np.arange(table.num_rows))))
    if newly.num_rows == 0:
        return Found(table, pa.concat_tables([table, replaced])), None
    write_back(store, newly, shards)
    whole = pa.concat_tables([plain, newly])
    whole = whole.take(pa.array(np.argsort(whole["place"].to_numpy()))).drop_columns("place")
    return Found(whole, pa.concat_tables([whole, replaced])), pc.min(newly["received_at_ms"]).as_py()


def _few(store: Store, parameters: dict[str, Any], at_most: int) -> tuple[pa.Table, pa.Table]:
    """The spans of traces that lie anywhere; nothing that they replace."""
    table = _each_once(_limited(store, _READ, parameters, at_most)).drop_columns("arrived")
    return table, table.slice(0, 0)


def _limited(store: Store, sql: str, parameters: dict[str, Any], at_most: int) -> pa.Table:
    table = store.arrow(f"{sql}\nLIMIT {at_most}" if at_most else sql, parameters, _LARGE_BLOCKS)
    if at_most and table.num_rows >= at_most:
        raise TooMany
    return table


def _all(store: Store, parameters: dict[str, Any]) -> tuple[pa.Table, pa.Table]:
    """The spans, and rows that were interpreted before and are replaced by now."""
    everything = store.arrow(_READ, parameters, _LARGE_BLOCKS)
    table = _each_once(everything)
    return _split(table.drop_columns("arrived"), everything.filter(pc.equal(everything["arrived"], 0)))


def _split(table: pa.Table, interpreted_before: pa.Table) -> tuple[pa.Table, pa.Table]:
    stands = pc.is_in(_versions(interpreted_before), value_set=_versions(table))
    return table, interpreted_before.filter(pc.invert(stands)).select(table.column_names)


def _fresh(store: Store, parameters: dict[str, Any], at_most: int) -> tuple[pa.Table, pa.Table]:
    """The same where most spans are as the view wrote them, and the rest moves little between two queries."""
    found = _limited(store, _READ_NARROW, parameters, at_most)
    top = _each_once(found)
    is_new = pc.equal(top["arrived"], 1)
    new = _with_empty(top.filter(is_new))
    if pc.all(pc.equal(found["arrived"], 1), min_count=0).as_py():
        return new, new.slice(0, 0)
    before = store.arrow(f"{_READ} AND arrived = 0", parameters, _LARGE_BLOCKS)
    old = _each_once(before.filter(pc.is_in(_versions(before), value_set=_versions(top.filter(pc.invert(is_new))))))
    if new.num_rows + old.num_rows != top.num_rows:
        return _all(store, parameters)
    return _split(pa.concat_tables([new, old.select(new.column_names)]).sort_by(ORDER), before)


def _versions(table: pa.Table) -> pa.Array:
    return one_chunk(pc.binary_join_element_wise(_joined(table), table["version"].cast(pa.string()), "\0"))


def _joined(table: pa.Table) -> pa.Array:
    """Tenant, trace and span id as one text, which sorts as the three do."""
    return one_chunk(pc.binary_join_element_wise(*(table[name] for name in _KEY), "\0"))


def _each_once(table: pa.Table) -> pa.Table:
    """Of rows of one span the one with the highest version, in the order of keys."""
    table = table.combine_chunks()
    keys = _joined(table)
    order = pc.array_sort_indices(keys)
    keys = keys.take(order)
    if len(keys) > 1 and pc.any(pc.equal(keys.slice(1), keys.slice(0, len(keys) - 1))).as_py():
        order = pc.sort_indices(table.select([*_KEY, "version"]), [*ORDER, ("version", "descending")])
        keys = _joined(table.select(_KEY).take(order))
        differs = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1))
        order = order.filter(pa.concat_arrays([pa.array([True]), differs]))
    return table.take(order)


def _with_empty(table: pa.Table) -> pa.Table:
    """The table with missing canonical columns added (empty), in the order of COLUMNS."""
    count = table.num_rows
    names = (*_PLAIN, *CANONICAL, "started_at_ns", "received_at_ms", "facts", "normalised")
    return pa.table(
        [table[name] if name in table.column_names else _nothing(_KINDS[name], count) for name in names],
        pa.schema([table.field(name) if name in table.column_names else _field(name) for name in names]),
    )


def _field(name: str) -> pa.Field:
    return pa.field(name, _KINDS[name], nullable=_KINDS[name] in (pa.int64(), _MONEY))


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if kind == pa.string():
        return pa.repeat(pa.scalar("", kind), count)
    if kind == pa.uint8():
        return pa.repeat(pa.scalar(0, kind), count)
    return pa.array([[]] * count, kind) if kind == _TEXTS else pa.nulls(count, kind)


def interpreted(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that were canonical already, and those interpreted now; same columns."""
    waiting = pc.equal(table["normalised"], 0)
    unread = table.filter(waiting).combine_chunks()
    if unread.num_rows == 0:
        return table, unread
    columns, mask = _by_columns(unread)
    alone = unread.filter(pa.array(~mask))
    if alone.num_rows:
        columns = {name: pa.concat_arrays([columns[name], values]) for name, values in one_by_one(alone).items()}
        unread = pa.concat_tables([unread.filter(pa.array(mask)), alone])
    count = unread.num_rows
    columns |= {
        "facts": pa.array([[]] * count, unread.schema.field("facts").type),
        "normalised": pa.array([1] * count, unread.schema.field("normalised").type),
        "version": pc.bit_wise_or(unread["version"], pa.scalar(1, pa.uint64())),  # the same but for the last bit
    }
    result = pa.table(
        {field.name: columns.get(field.name, unread[field.name]) for field in unread.schema}, unread.schema
    )
    return table.filter(pc.invert(waiting)), result


def _by_columns(unread: pa.Table) -> tuple[dict[str, pa.Array], npt.NDArray[np.bool_]]:
    """The canonical columns of the spans that can be read many at a time, and which those are."""
    try:
        return column_reader().read(unread)
    except Exception:  # after any failure the spans are interpreted one by one
        log.exception("%d spans could not be read by columns", unread.num_rows)
        empty = {name: pa.array([], unread.schema.field(name).type) for name in CANONICAL}
        return empty, np.zeros(unread.num_rows, np.bool_)


def one_by_one(unread: pa.Table) -> dict[str, pa.Array]:
    """The canonical columns of spans in their own words, each read by itself."""
    facts = Facts(one_chunk(unread["facts"]))
    keys = np.array(facts.words, dtype=object)[facts.key].tolist()
    values = objects(facts.values)[facts.item].tolist()
    bounds = [*facts.first.tolist(), len(keys)]
    read = interpreter().row
    rows: list[tuple[Any, ...]] = []
    for index, words in enumerate(zip(*(values_of(unread[name]) for name in SpanFacts._fields[:6]), strict=True)):
        here = slice(bounds[index], bounds[index + 1])
        span = SpanFacts._make((*words, tuple(keys[here]), values[here]))
        try:
            rows.append(read(span))
        except Exception:  # one span that cannot be interpreted must not stop settlement
            row = unread.slice(index, 1).to_pylist()[0]
            log.exception("span %s of trace %s could not be interpreted", row["span_id"], row["trace_id"])
            row["anomalies"] = [*row["anomalies"], "unreadable:span"]
            rows.append(tuple(row[name] for name in CANONICAL))
    columns = zip(CANONICAL, zip(*rows, strict=True), strict=True)
    return {name: _column(column, unread.schema.field(name).type) for name, column in columns}


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
