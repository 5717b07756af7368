"""The spans of some traces as one forest: parents, and what a span inherits from those above it.

Works on whole columns (NumPy), because settlement looks at tens of thousands of spans at a time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]


class Forest:
    """Spans in the order of `table`: `tenant`, `trace_id`, `span_id`, `parent_span_id` …, each span once."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.size = table.num_rows
        trace = pc.binary_join_element_wise(table["tenant"], table["trace_id"], "\x1f")
        self.trace = codes(trace)[0]
        keys = pc.binary_join_element_wise(trace, table["span_id"], "\x1f")
        parents = pc.binary_join_element_wise(trace, table["parent_span_id"], "\x1f")
        found = pc.index_in(parents, value_set=one_chunk(keys)).fill_null(-1)
        parent = found.to_numpy().astype(np.int64)
        self.parent = _without_cycles(np.where(parent == np.arange(self.size), -1, parent))
        self.cut: Ints = np.flatnonzero((parent >= 0) & (self.parent < 0))  # spans that were their own ancestors

    def inherited(self, column: str, whole_trace: bool = True) -> Texts:
        """Per span the nearest non-empty value on the way up, itself included; then, with `whole_trace`, the value
        that is the only one in the trace; else ''."""
        numbers, values = codes(self.table[column])
        empty = values.index("") if "" in values else -1
        numbers = np.where(numbers == empty, -1, numbers)
        if not (numbers >= 0).any():
            return np.full(self.size, "", dtype=object)
        numbers = self.nearest(numbers)
        if whole_trace:
            numbers = self._only_value(numbers)
        lookup = np.array([*values, ""], dtype=object)
        texts: Texts = lookup[numbers]
        return texts

    def nearest(self, values: Ints) -> Ints:
        """Per span its own value, or that of the nearest ancestor which has one (≥ 0); −1 where none has."""
        values = values.copy()
        above = self.parent
        # Pointer jumping: after round k a span knows the nearest value among its 2^k nearest ancestors.
        while (above >= 0).any():
            missing = (values < 0) & (above >= 0)
            values[missing] = values[above[missing]]
            above = np.where(above >= 0, above[above], -1)
        return values

    def nearest_above(self, mask: Bools) -> Ints:
        """Per span the index of its nearest strict ancestor for which `mask` holds, else −1."""
        own = np.where(mask, np.arange(self.size), -1)
        at_or_above = self.nearest(own)
        return np.where(self.parent >= 0, at_or_above[self.parent], -1)

    def _only_value(self, codes: Ints) -> Ints:
        traces = int(self.trace.max()) + 1 if self.size else 0
        lowest = np.full(traces, np.iinfo(np.int64).max)
        highest = np.full(traces, -1, dtype=np.int64)
        known = codes >= 0
        np.minimum.at(lowest, self.trace[known], codes[known])
        np.maximum.at(highest, self.trace[known], codes[known])
        single = np.where(lowest == highest, highest, -1)
        return np.where(known, codes, single[self.trace])


def codes(column: Any) -> tuple[Ints, list[str]]:
    """Dictionary codes and their values."""
    array = one_chunk(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.indices.to_numpy(zero_copy_only=False).astype(np.int64), array.dictionary.to_pylist()


def objects(column: Any) -> Texts:
    """An Arrow column as an array of Python values."""
    array = one_chunk(column)
    if pa.types.is_dictionary(array.type):
        words: Texts = objects(array.dictionary)[array.indices.to_numpy(zero_copy_only=False)]
        return words
    values: Texts = array.to_numpy(zero_copy_only=False).astype(object)
    return values


def dicts(table: pa.Table, rows: pa.Array, names: Sequence[str]) -> list[dict[str, Any]]:
    """Some rows with these columns as dictionaries."""
    taken = table.select(names).take(rows)
    columns = [values_of(column) for column in taken.itercolumns()]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def values_of(column: Any) -> list[Any]:
    """An Arrow column as Python values; texts, of which there are most, the quick way."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    values: list[Any] = objects(column).tolist() if pa.types.is_string(kind) else column.to_pylist()
    return values


def one_chunk(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _without_cycles(parent: Ints) -> Ints:
    """Cuts every cycle of parents at its lowest-numbered span, so that walking up always ends.

    The order of spans is by id, hence the cut does not depend on the order of arrival.
    """
    above = parent.copy()
    for _ in range(max(1, len(parent).bit_length())):
        above = np.where(above >= 0, above[above], -1)
        if not (above >= 0).any():
            return parent
    # What still has an ancestor after 2^k > n steps sits on a cycle or below one.
    done: set[int] = set()
    result = parent.copy()
    for start in np.flatnonzero(above >= 0).tolist():
        path: dict[int, None] = {}
        node = start
        while node >= 0 and node not in path and node not in done:
            path[node] = None
            node = int(result[node])
        if node in path:
            walked = list(path)
            result[min(walked[walked.index(node) :])] = -1
        done.update(path)
    return result
