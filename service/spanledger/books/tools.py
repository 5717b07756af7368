"""Which spans stand for the executions of tools: each execution counts once."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.forest import Bools, Forest, Ints, codes, one_chunk
from spanledger.dialects.lexicon import lexicon

_BESIDE_NS = 1_000_000_000  # between the end of a tool and the log record that reports it


def executions(table: pa.Table, forest: Forest) -> Ints:
    """The rows of tools. A tool below one of the same name repeats it. A coding agent's log record repeats the span of
    a tool of this name at its time, in the same trace, wherever the two stand there."""
    mask = _are_tools(table)
    if not mask.any():
        return np.zeros(0, np.int64)
    names = codes(table["tool"])[0]
    outer = forest.nearest_above(mask)
    rows = np.flatnonzero(mask & ((outer < 0) | (names[outer] != names)))
    scopes, words = codes(table["scope"])
    records = rows[np.array([word in lexicon().sets["of_records"] for word in words] or [False])[scopes[rows]]]
    if not len(records) or len(records) == len(rows):
        return rows
    repeated = _repeated(records, np.setdiff1d(rows, records), np.stack([forest.trace, names]), *_times(table))
    return np.setdiff1d(rows, np.array(repeated, np.int64))


def behind_tools(table: pa.Table, forest: Forest, candidate: Bools) -> Ints:
    """The candidates with a tool between them and the nearest candidate above them."""
    tools = _are_tools(table) & ~candidate
    if not tools.any():
        return np.zeros(0, np.int64)
    above, nearest = forest.nearest_above(candidate), forest.nearest_above(candidate | tools)
    return np.flatnonzero(candidate & (above >= 0) & (above != nearest))


def _are_tools(table: pa.Table) -> Bools:
    roles, words = codes(table["role"])
    mask: Bools = np.array([word == "tool" for word in words] or [False])[roles]
    return mask


def _times(table: pa.Table) -> tuple[Ints, Ints]:
    start, duration = (
        one_chunk(pc.fill_null(table[name].cast(pa.int64()), 0)).to_numpy(zero_copy_only=False)
        for name in ("started_at_ns", "duration_ns")
    )
    return start, start + duration


def _repeated(records: Ints, spans: Ints, keys: Ints, start: Ints, end: Ints) -> list[int]:
    """The records for which there is a span of their key and time; each span stands for one of them."""
    free: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for span in spans.tolist():
        free[tuple(keys[:, span].tolist())].append(span)
    found = []
    for record in sorted(records.tolist(), key=lambda row: (int(end[row]), row)):
        alike = free.get(tuple(keys[:, record].tolist()), [])
        here = [
            span
            for span in alike
            if start[span] <= end[record] + _BESIDE_NS and start[record] <= end[span] + _BESIDE_NS
        ]
        if here:
            alike.remove(min(here, key=lambda span: (abs(int(end[span] - end[record])), span)))
            found.append(record)
    return found
