"""Spans in their own words as columns, and which of them the interpreter reads alike."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.dialects.alike import Facts, Ints, equal_sequences, numbered, one_chunk
from spanledger.dialects.interpreter import MAX_CONSTANT, Interpreter, SpanFacts
from spanledger.dialects.lexicon import Shape


class Spans:
    """Spans in their own words as columns."""

    def __init__(self, table: pa.Table, by: Interpreter) -> None:
        self.by = by.by
        self.table = table
        self.facts = Facts(one_chunk(table["facts"]))
        facts = self.facts
        members, self.shape = equal_sequences(facts.key, facts.first, facts.count, ())
        self.shapes: list[Shape] = [self.by.shape(facts.keys_of(member)) for member in members.tolist()]
        self.per_span = [dict(shape.per_span_positions) for shape in self.shapes]
        self.words = {name: numbered(one_chunk(table[name])) for name in ("scope", "span_name", "status")}
        self._lay_out_constants()

    def _lay_out_constants(self) -> None:
        """Where the values stand that spans of a kind share."""
        count = np.array([len(shape.positions) for shape in self.shapes], np.int64)
        begin = np.cumsum(count) - count
        flat = np.array([p for shape in self.shapes for p in shape.positions], np.int64)
        self._constant_count = count[self.shape]
        self._constant_first = np.cumsum(self._constant_count) - self._constant_count
        span = np.repeat(np.arange(len(self.shape)), self._constant_count)
        place = np.arange(len(span)) - self._constant_first[span]
        entry = self.facts.first[span] + flat[begin[self.shape[span]] + place] if len(span) else span
        self._constant_item = self.facts.item[entry]
        self._constant_length = np.bincount(span, self.facts.length[self._constant_item], len(self.shape))

    def fitting(self) -> Ints:
        """The spans that the interpreter would read by their kind."""
        is_plain = np.array([not shape.shaped for shape in self.shapes], np.bool_)
        fit = is_plain[self.shape] & (self._constant_length <= MAX_CONSTANT)
        fit &= (pc.list_value_length(self.table["anomalies"]).to_numpy() == 0) & (self.facts.count > 0)
        fit[self.facts.span[self.facts.length == 0]] = False
        return np.flatnonzero(fit)

    def grouped(self, fit: Ints) -> tuple[Ints, Ints]:
        """Members and groups of the fitting spans that are of one kind and shape's sort."""
        count = self._constant_count[fit]
        first = np.cumsum(count) - count
        span = np.repeat(np.arange(len(fit)), count)
        entry = self._constant_first[fit][span] + np.arange(len(span)) - first[span]
        values = self.facts.values.take(pa.array(self._constant_item[entry]))
        self._codes, self._constant_words = numbered(values)
        self._fit_first, self._place = first, {row: number for number, row in enumerate(fit.tolist())}
        sort = np.array([shape.sort for shape in self.shapes], np.int64)[self.shape[fit]]
        beside = [sort, self._dialects()[fit], *(numbers[fit] for numbers, _ in self.words.values())]
        return equal_sequences(self._codes, first, count, beside)

    def _dialects(self) -> Ints:
        """Per span the number of its dialect."""
        scope, scopes = self.words["scope"]
        pairs, number = np.unique(scope * len(self.shapes) + self.shape, return_inverse=True)
        known: dict[str, int] = {}
        found = [self.dialect(scopes[pair // len(self.shapes)], pair % len(self.shapes)) for pair in pairs.tolist()]
        return np.array([known.setdefault(name, len(known)) for name in found], np.int64)[number]

    def dialect(self, scope: str, shape: int) -> str:
        return self.by.dialect_of(scope, self.shapes[shape].keys)

    def kind_key(self, span: int) -> tuple[tuple[Any, ...], Shape]:
        """By what the kind of a fitting span is remembered (after its status), and its shape."""
        number = self.shape[span]
        shape = self.shapes[number]
        scope, name, status = (texts[numbers[span]] for numbers, texts in self.words.values())
        first = self._fit_first[self._place[span]]
        constants = [
            self._constant_words[code] for code in self._codes[first : first + self._constant_count[span]].tolist()
        ]
        return (status, shape.sort, scope, name, self.dialect(scope, number), *constants), shape

    def facts_of(self, span: int) -> SpanFacts:
        """The fields of a span other than its times."""
        scope, name, status = (texts[numbers[span]] for numbers, texts in self.words.values())
        facts = self.facts
        return SpanFacts(scope, name, status, 0, 0, (), keys=facts.keys_of(span), values=facts.values_of(span))

    def lists(self, rows: Ints) -> Iterator[tuple[Shape, str, list[str]]]:
        """Shape, status and values of spans."""
        facts = self.facts
        numbers, words = self.words["status"]
        count = facts.count[rows]
        end = np.cumsum(count)
        place = np.arange(int(end[-1]) if len(end) else 0) - np.repeat(end - count, count)
        items = facts.item[np.repeat(facts.first[rows], count) + place]
        values = self.take(items).to_numpy(zero_copy_only=False).tolist()
        first = 0
        for shape, status, last in zip(self.shape[rows].tolist(), numbers[rows].tolist(), end.tolist(), strict=True):
            yield self.shapes[shape], words[status], values[first:last]
            first = last

    def items(self, rows: Ints, places: list[int]) -> tuple[Ints, Ints]:
        """Which of `rows` have a value at the place that their shape has for it (−1: none), and where it lies."""
        place = np.array(places, np.int64)[self.shape[rows]]
        has = np.flatnonzero(place >= 0)
        return has, self.facts.item[self.facts.first[rows[has]] + place[has]]

    def take(self, items: Ints) -> pa.Array:
        return self.facts.values.take(pa.array(items))
