"""The bits of the keys in table call_keys, which find the traces that may hold copies of a call.

Four kinds, marked by the highest bits. 0: the minute of the start (28 bits), then the likeness of a call (36).
10: what identifies a call for certain, a hash of a response id or message id (40). 11: the hash of a trace id (32).
0 and thirty times 1: the hash of a trace id, for the traces that it was settled together with.
The SQL below computes the same as the functions; a test compares both with the view that writes the keys.
`keys_of` computes of spans in memory what the columns same_keys and likeness of genai_spans hold of stored ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.calls import CALL_ROLES, WITHOUT_ID
from spanledger.books.cityhash import Hashes, city_hash
from spanledger.books.forest import Bools, Ints, codes, one_chunk

LIKENESS_BITS = 36
LIKENESS = (1 << LIKENESS_BITS) - 1  # the bits of a key of likeness beside the minute
HASH_SHIFT = 24  # of a hash of 64 bits, to the 40 that a key of what surely is the same keeps
SURE_BIT = 63
TRACE_BITS = 62
LINKS = 0x7FFFFFFF << 32  # as a minute it would be in the year 2225

SQL_OF_TRACE = "bitOr(bitShiftLeft(toUInt64(3), 62), toUInt64({hash}))"
SQL_OF_SAME = "bitOr(bitShiftLeft(toUInt64(1), 63), bitShiftRight({hash}, 24))"
SQL_OF_LIKENESS = "bitOr(bitShiftLeft({minute}, 36), {likeness})"
SQL_IS_SURE = "bitShiftRight(key, 63)"
SQL_MINUTE = "bitShiftRight(key, 36)"
SQL_LIKENESS = "bitAnd(key, 0xfffffffff)"


def of_trace(trace_hash: int) -> int:
    """The key of the row that holds a trace's id; `trace_hash` as in column `trace`."""
    return 3 << TRACE_BITS | trace_hash


def of_links(trace_hash: int) -> int:
    """The key of the traces that one was settled together with (ledger/links.py)."""
    return LINKS | trace_hash


def of_same(name_hash: int) -> int:
    """The key of a response id or message id, by its hash of 64 bits."""
    return 1 << SURE_BIT | name_hash >> HASH_SHIFT


def of_likeness(minute: int, likeness: int) -> int:
    """The key of what two tellings of one call have in common, in a minute since 1970."""
    return minute << LIKENESS_BITS | likeness


def is_sure(key: int) -> bool:
    """Whether spans that share the key are certainly the same call or message."""
    return bool(key >> SURE_BIT)


def minute_of(key: int) -> int:
    """Of a key of likeness: the minute since 1970."""
    return key >> LIKENESS_BITS


def likeness_of(key: int) -> int:
    """Of a key of likeness: the rest."""
    return key & LIKENESS


@dataclass(frozen=True)
class Keys:
    """Keys of spans: `row` of the table, `key`, and whether it is one of likeness, in the minute of the start."""

    row: Ints
    key: Hashes
    is_likeness: Bools

    def looked_for(self) -> "Keys":
        """Under which copies are looked for: in the minutes beside that of the start too."""
        alike = self.key[self.is_likeness]
        minute = np.uint64(1 << LIKENESS_BITS)
        more = np.concatenate([alike - minute, alike + minute])
        rows = np.tile(self.row[self.is_likeness], 2)
        return Keys(
            np.concatenate([self.row, rows]),
            np.concatenate([self.key, more]),
            np.concatenate([self.is_likeness, np.ones(len(more), np.bool_)]),
        )


def of_traces(trace_ids: Any) -> Ints:
    """Column `trace` of call_keys: the hashes of trace ids."""
    return (city_hash(trace_ids) & np.uint64(0xFFFFFFFF)).astype(np.int64)


def keys_of(table: pa.Table) -> Keys:
    """The keys of interpreted spans."""
    spans = _Spans(table)
    alike = spans.likeness()
    sure = [spans.responses(), spans.messages(), *spans.streams()]
    return Keys(
        np.concatenate([alike[0], *(rows for rows, _ in sure)]),
        np.concatenate([alike[1], *((hashes >> np.uint64(HASH_SHIFT)) | _SURE for _, hashes in sure)]),
        np.concatenate([np.ones(len(alike[0]), np.bool_), np.zeros(sum(len(rows) for rows, _ in sure), np.bool_)]),
    )


_SURE = np.uint64(1 << SURE_BIT)
_SECOND, _MINUTE_MS = 1_000_000_000, 60_000
_Found = tuple[Ints, Hashes]  # rows and what is hashed of each


class _Spans:
    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._codes: dict[str, tuple[Ints, list[Any]]] = {}
        self._start = one_chunk(table["started_at_ns"]).to_numpy(zero_copy_only=False).astype(np.int64)
        self._duration = one_chunk(table["duration_ns"]).to_numpy(zero_copy_only=False).astype(np.int64)
        self._has_input, self._input = self._count("input_tokens")
        self._has_output, self._output = self._count("output_tokens")
        self._is_call = self._is("role", CALL_ROLES)

    def _count(self, name: str) -> tuple[Bools, Ints]:
        column = one_chunk(self._table[name])
        known = pc.is_valid(column).to_numpy(zero_copy_only=False)
        return known, pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)

    def _is(self, name: str, words: frozenset[str]) -> Bools:
        return self._which(name, lambda word: word in words)

    def _which(self, name: str, is_one: Callable[[str], bool]) -> Bools:
        if name not in self._codes:
            self._codes[name] = codes(self._table[name])
        numbers, words = self._codes[name]
        mask: Bools = np.array([is_one(word) for word in words] or [False], np.bool_)[numbers]
        return mask

    def _there(self, name: str) -> Bools:
        return self._which(name, bool)

    def _hashed(self, mask: Bools, *parts: Any) -> _Found:
        """Rows of a mask and the hash of parts: `=text`, the name of a column, or whole numbers a row."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return rows, np.zeros(0, np.uint64)
        taken = pa.array(rows)
        columns = [
            part[rows]
            if isinstance(part, np.ndarray)
            else part[1:]
            if part.startswith("=")
            else one_chunk(self._table[part]).take(taken)
            for part in parts
        ]
        return rows, np.broadcast_to(city_hash(*columns), len(rows))

    def responses(self) -> _Found:
        is_named = self._is_call | ~self._there("parent_span_id") | self._has_input
        return self._hashed(self._there("response_id") & is_named, "=response", "response_id")

    def messages(self) -> _Found:
        return self._hashed(self._there("message_id"), "=message", "message_id")

    def streams(self) -> tuple[_Found, ...]:
        """Streams and the spans of no length that report their results (see migration 0091)."""
        some = self._which("scope", lambda scope: scope.startswith("logfire"))
        some &= self._is("role", frozenset({"inference"})) & ~self._is("status", frozenset({"error"}))
        if not some.any():
            return ()
        second = self._start // _SECOND
        minute = _toward_zero(second, 60)
        result = some & (self._duration == 0)
        stream = some & (self._duration != 0) & ~self._has_input & ~self._has_output
        stream &= ~self._there("response_id") & ~self._there("finish_reason")
        named = ("=stream", "service", "scope", "request_model")
        ended = _toward_zero(second + _toward_zero(self._duration, _SECOND), 60)
        return (
            self._hashed(result, *named, minute),
            self._hashed(result, *named, minute - 1),
            self._hashed(stream, *named, ended),
        )

    def likeness(self) -> _Found:
        nameless = self._is("role", WITHOUT_ID) & self._has_input
        measured = ~nameless & (self._has_input | self._has_output)
        silent = ~nameless & ~measured & self._is_call & self._there("conversation_id")
        found = (
            self._hashed(nameless, "=embedding", self._input),
            self._hashed(measured, "service", self._input, self._output),
            self._hashed(silent, "service", "conversation_id"),
        )
        rows = np.concatenate([rows for rows, _ in found])
        hashes = np.concatenate([hashes for _, hashes in found]) >> np.uint64(64 - LIKENESS_BITS)
        minute = np.maximum(self._start[rows] // 1_000_000, _MINUTE_MS) // _MINUTE_MS
        there = hashes != 0
        keys = (minute.astype(np.uint64) << np.uint64(LIKENESS_BITS)) | hashes
        return rows[there], keys[there]


def _toward_zero(values: Ints, by: int) -> Ints:
    """Whole quotients as ClickHouse's intDiv has them."""
    quotients: Ints = np.sign(values) * (np.abs(values) // by)
    return quotients
