"""Facts of many spans as columns: which spans have the same keys, and which of those the same values in some places."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_Hashes = npt.NDArray[np.uint64]


class Facts:
    """The facts of spans, span by span in the order of their keys, equal keys as they came.

    `first`, `count`: where a span's begin and how many there are; `key`: the number of a word in `words`; `item`: the
    place of the value in `values`.
    """

    def __init__(self, facts: pa.MapArray) -> None:
        offsets = facts.offsets.to_numpy()
        begin, end = int(offsets[0]), int(offsets[-1])
        keys = facts.keys.slice(begin, end - begin).dictionary_encode()
        self.words: list[str] = keys.dictionary.to_pylist()
        self.values: pa.Array = facts.items.slice(begin, end - begin)
        self.length: Ints = pc.binary_length(self.values).to_numpy(zero_copy_only=False).astype(np.int64)
        self.count: Ints = np.diff(offsets).astype(np.int64)
        self.first: Ints = (offsets[:-1] - begin).astype(np.int64)
        self.span: Ints = np.repeat(np.arange(len(facts)), self.count)
        rank = np.empty(len(self.words), np.int64)
        rank[sorted(range(len(self.words)), key=self.words.__getitem__)] = np.arange(len(self.words))
        numbers = keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self.item: Ints = np.argsort(self.span * len(self.words) + rank[numbers], kind="stable")
        self.key: Ints = numbers[self.item]

    def keys_of(self, span: int) -> tuple[str, ...]:
        here = slice(self.first[span], self.first[span] + self.count[span])
        return tuple([self.words[number] for number in self.key[here].tolist()])

    def values_of(self, span: int) -> list[str]:
        here = slice(self.first[span], self.first[span] + self.count[span])
        found: list[str] = self.values.take(pa.array(self.item[here])).to_pylist()
        return found


def equal_sequences(numbers: Ints, first: Ints, count: Ints, beside: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Groups equal sequences `numbers[first : first + count]`, which lie one behind the other, with equal values in
    the columns `beside`: one member of each group, and the group of each."""
    place = np.arange(len(numbers)) - np.repeat(first, count)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(numbers * 4096 + place), dtype=np.uint64)])
    hashes = sums[first + count] - sums[first]
    for column in beside:
        hashes = _mixed((hashes ^ column.astype(np.uint64)).view(np.int64))
    _, members, group = np.unique(hashes, return_index=True, return_inverse=True)
    member = members[group]
    is_equal = count == count[member]
    for column in beside:
        is_equal &= column == column[member]
    compared = np.repeat(is_equal, count)
    other = np.repeat(first[member], count) + place
    differs = numbers[compared] != numbers[other[compared]]
    is_equal[np.repeat(np.arange(len(count)), count)[compared][differs]] = False
    odd = np.flatnonzero(~is_equal)  # equal hashes by chance: each a group of its own
    if len(odd):
        group[odd] = len(members) + np.arange(len(odd))
        members = np.concatenate([members, odd])
    return members.astype(np.int64), group.astype(np.int64)


def _mixed(numbers: Ints) -> _Hashes:
    """SplitMix64 of each number."""
    x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Hashes = x ^ (x >> np.uint64(31))
    return mixed


def numbered(column: pa.Array) -> tuple[Ints, list[str]]:
    """Texts as numbers, and the text of each number."""
    found = column.dictionary_encode()
    return found.indices.to_numpy(zero_copy_only=False).astype(np.int64), found.dictionary.to_pylist()


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
