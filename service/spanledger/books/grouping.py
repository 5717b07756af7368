"""Numbers of equal values, and what each group of them has at most and at least."""

from typing import Any

import numpy as np
import pyarrow as pa

from spanledger.books.forest import Ints, codes


def numbers(values: Any) -> Ints:
    """A number for each text, equal for equal ones."""
    return codes(pa.array(values, pa.string()))[0]


def groups(keys: list[Ints]) -> Ints:
    """Numbers of equal combinations of keys, from 0."""
    total = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        found, number = np.unique(key, return_inverse=True)
        total = np.unique(total * (len(found) + 1) + number, return_inverse=True)[1]
    return total.astype(np.int64)


def extremes(group: Ints, values: Ints, size: int = 0) -> tuple[Ints, Ints]:
    """Lowest and highest value of each group; where a group has none, highest is −1."""
    size = max(size, int(group.max()) + 1 if len(group) else 0)
    lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64)
    np.minimum.at(lowest, group, values)
    np.maximum.at(highest, group, values)
    return lowest, highest


def running_maximum(values: Ints, group: Ints) -> Ints:
    """The highest value so far within each group; the groups are contiguous and rise."""
    if not len(values):
        return values
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    highest = np.maximum.accumulate(rank + group * len(values)) - group * len(values)
    ordered: Ints = np.sort(values, kind="stable")[highest]
    return ordered
