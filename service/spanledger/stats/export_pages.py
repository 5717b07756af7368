"""How exports go through tables: page by page, in the order in which rows lie."""

from collections.abc import Callable, Iterator
from typing import Any

from spanledger.stats.times import SECOND, format_time, milliseconds
from spanledger.store.client import Store

PAGE = 2_000
_PAGE_TRACES = 500  # about as many rows as a page, or a few times as many
PAGE_USERS = 20_000  # each page of users adds up all of them
_FIRST_NS, _SHORTEST_NS, _LONGEST_NS = 60 * SECOND, SECOND, 30 * 86_400 * SECOND
# The next keys in the order in which they lie: read piece by piece, and no further than the last that is wanted.
IN_ORDER = {"max_threads": 1, "max_block_size": 2_048, "optimize_aggregation_in_order": 1}
Row = dict[str, Any]
Page = tuple[list[Row], list[int | str]]  # rows, and the place of the last one


def in_stretches(begin: int, end: int, read: Callable[[int, int], Iterator[Page]]) -> Iterator[Page]:
    """What is read from one time until another (ns), by stretches that grow and shrink with what is in them."""
    length = _FIRST_NS
    while begin <= end:
        found = 0
        for page in read(begin, min(begin + length, end + 1)):
            found += len(page[0])
            yield page
        begin += length
        fitting = length * 2 if found < PAGE else length * PAGE // (2 * found)
        length = min(max(fitting, _SHORTEST_NS), _LONGEST_NS)


def by_trace(
    store: Store, sql: str, bound: dict[str, Any], after: tuple[Any, ...] | None, traces: str
) -> Iterator[Page]:
    """Rows of whole traces, so many traces at a time, in the order of their ids."""
    last = after[0] if after else ""
    following = f"{traces} AND trace_id > {{after:String}} GROUP BY trace_id ORDER BY trace_id LIMIT {{limit:UInt32}}"
    while True:
        parameters = {**bound, "after": last, "limit": _PAGE_TRACES}
        ids = [row[0] for row in store.query(following, parameters, settings=IN_ORDER)]
        if not ids:
            return
        last = ids[-1]
        yield [timed(row) for row in store.dicts(sql, {**bound, "traces": ids})], [last]


def timed(row: Row) -> Row:
    """Times as texts, durations in milliseconds."""
    exported = dict(row)
    if "started_ns" in exported:
        exported["started_at"] = format_time(exported.pop("started_ns"))
    if "posted_us" in exported:
        exported["posted_at"] = format_time(exported.pop("posted_us") * 1000)
    if "duration_ns" in exported:
        exported["duration_ms"] = milliseconds(exported.pop("duration_ns"))
    return exported
