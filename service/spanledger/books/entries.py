"""What a ledger entry is made of; the one place in Python that spells the ledger's columns.

An entry is a tuple: `DIMS` values, then `MEASURES` values. Equal dims mean the same line of the book, so books are
dictionaries from dims to measures and a correction is a subtraction.
"""

from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from operator import itemgetter
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.forest import one_chunk, values_of

DIMS = (
    "price_book",
    "kind",
    "tenant",
    "trace_id",
    "span_id",
    "started_at_ns",
    "conversation_id",
    "message_id",
    "user_id",
    "service",
    "operation",
    "provider",
    "model",
    "workflow",
    "agent",
    "tool",
    "prompt",
    "prompt_version",
    "variant",
    "status",
    "cost_state",
)
MEASURES = (
    "llm_calls",
    "failed_calls",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "cost_usd",
    "claimed_usd",
    "claimed_calls",
    "billed_calls",
    "computed_calls",
    "estimated_calls",
    "unpriced_calls",
    "tool_calls",
    "failed_tool_calls",
    "messages",
    "duration_ns",
)
MONEY = frozenset({"cost_usd", "claimed_usd"})
ZERO = tuple(Decimal(0) if m in MONEY else 0 for m in MEASURES)

Dims = tuple[Any, ...]
Measures = tuple[Any, ...]
Book = dict[Dims, Measures]


LINES: dict[str, pa.DataType] = {
    **{name: pa.int64() if name == "started_at_ns" else pa.string() for name in DIMS},
    **{name: pa.decimal128(38, 15) if name in MONEY else pa.int64() for name in MEASURES},
}
_NO_DIMS = {d: 0 if d == "started_at_ns" else "" for d in DIMS}
_NO_MEASURES = dict(zip(MEASURES, ZERO, strict=True))
_in_dims_order = itemgetter(*DIMS)
_in_measures_order = itemgetter(*MEASURES)


def dims(**values: Any) -> Dims:
    """Dims from names; what is not given is empty (started_at_ns: 0)."""
    return cast(Dims, _in_dims_order(_NO_DIMS | values))


def measures(**values: Any) -> Measures:
    """Measures from names; what is not given is zero."""
    return cast(Measures, _in_measures_order(_NO_MEASURES | values))


def add(book: Book, key: Dims, amounts: Measures) -> None:
    """Adds amounts to a line; lines that sum to zero are dropped by `difference`, not here."""
    old = book.get(key)
    book[key] = amounts if old is None else tuple(a + b for a, b in zip(old, amounts, strict=True))


def difference(should: Book, posted: Book) -> Book:
    """The entries that turn `posted` into `should`: empty when the books agree."""
    result: Book = {}
    for key, amounts in should.items():
        old = posted.get(key)
        if old is None:
            if amounts != ZERO:
                result[key] = amounts
        elif old != amounts:
            result[key] = tuple(a - b for a, b in zip(amounts, old, strict=True))
    for key, old in posted.items():
        if key not in should and old != ZERO:
            result[key] = tuple(-a for a in old)
    return result


IS_DUE = "is_due"  # whether the book should have a line like the entry, whatever its amounts


def corrections(should: pa.Table, posted: pa.Table) -> pa.Table:
    """The same as `difference` for lines, which come with `IS_DUE`."""
    if not len(posted):
        return should.append_column(IS_DUE, pa.repeat(pa.scalar(True), len(should)))
    is_known = pc.is_in(should["trace_id"], value_set=one_chunk(posted["trace_id"]))
    known, fresh = should.filter(is_known), should.filter(pc.invert(is_known))
    negative = {name: pc.negate(posted[name]) if name in MEASURES else posted[name] for name in LINES}
    sides = pa.concat_tables([_with_side(known, 1), _with_side(pa.table(negative), 0)])
    summed = sides.group_by(list(DIMS)).aggregate([(name, "sum") for name in (*MEASURES, IS_DUE)])
    columns = {name: summed[name if name in DIMS else f"{name}_sum"].cast(kind) for name, kind in LINES.items()}
    columns[IS_DUE] = pc.greater(summed[f"{IS_DUE}_sum"], 0)
    differs = reduce(pc.or_, (pc.not_equal(columns[name], pa.scalar(0, LINES[name])) for name in MEASURES))
    fresh = fresh.append_column(IS_DUE, pa.repeat(pa.scalar(True), len(fresh)))
    return pa.concat_tables([fresh, pa.table(columns).filter(differs)])


def _with_side(lines: pa.Table, side: int) -> pa.Table:
    return lines.append_column(IS_DUE, pa.repeat(pa.scalar(side, pa.int64()), len(lines)))


def book_of(lines: pa.Table) -> Book:
    """Lines as a book."""
    book: Book = {}
    columns = [values_of(lines[name]) for name in LINES]
    width = len(DIMS)
    for row in zip(*columns, strict=True):
        add(book, row[:width], row[width:])
    return book


def lines_of(book: Book) -> pa.Table:
    """A book as lines."""
    arrays = {}
    for position, name in enumerate(DIMS):
        arrays[name] = pa.array([key[position] for key in book], LINES[name])
    for position, name in enumerate(MEASURES):
        arrays[name] = pa.array([amounts[position] for amounts in book.values()], LINES[name])
    return pa.table(arrays)


def total(book: Iterable[Measures]) -> Measures:
    """The sum of all lines."""
    result = ZERO
    for amounts in book:
        result = tuple(a + b for a, b in zip(result, amounts, strict=True))
    return result
