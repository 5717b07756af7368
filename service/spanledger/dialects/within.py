"""Facts within the texts of spans: JSON, or what a language prints of its objects. Each text is parsed by itself, but
for those that hold no facts for want of a word."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from spanledger.dialects.alike import Bools, Ints
from spanledger.dialects.batch import Spans
from spanledger.dialects.facts import Reading
from spanledger.dialects.identity import response_id
from spanledger.dialects.interpreter import Interpreter, Kind, by_presence

_PRESENCE = ("input_tokens", "output_tokens", "cost_claim_usd", "time_to_first_chunk_ns", "response_id")
_OWN = frozenset({"input_tokens", "output_tokens", "response_id", "own_call_id"})  # fields that each text fills anew


@dataclass
class Group:
    """Spans that differ in ids and figures only; `by_figures`: their text columns, by which figures are present."""

    read: Reading
    kind: Kind
    by_figures: dict[int, dict[str, Any]] = field(default_factory=dict)

    def words(self, bits: int) -> dict[str, Any]:
        found = self.by_figures.get(bits)
        if found is None:
            found = self.by_figures[bits] = self._words(bits)
        return found

    def _words(self, bits: int) -> dict[str, Any]:
        if self.kind.case is None:
            return self.kind.words | {"told_calls": None}
        there = {name: 1 if bits >> number & 1 else None for number, name in enumerate(_PRESENCE)}
        return self.kind.words | by_presence(self.read, self.kind, there)


class _SameTexts(NamedTuple):
    """What spans whose texts hold the same facts have in common."""

    group: int
    own: dict[str, tuple[str, str]]  # object and fact of the fields that each text fills anew
    places: tuple[tuple[str, str, str], ...]  # of ids and figures in the texts: field, object and fact
    may_be_searched: bool  # usage may still be found by its shape
    is_answer: bool  # the answer's id may stand in the answer


class Within:
    """Facts within the texts of spans.

    `group`: the group of each span, by the facts in its texts; `fields`: ids and figures by field, as rows and texts;
    `responses`: ids of answers by row; `odd`: rows that only the interpreter can read.
    """

    def __init__(self, by: Interpreter, spans: Spans, rows: Ints, group: Ints, groups: list[Group]) -> None:
        self.group = group.copy()
        self.groups = groups.copy()
        self.fields: dict[str, tuple[list[int], list[str]]] = {name: ([], []) for name in by.by.tables.per_span}
        self.responses: dict[int, str] = {}
        self.odd: list[int] = []
        self._by = by
        self._known: dict[tuple[Any, ...], _SameTexts] = {}
        has_texts = np.array([bool(shape.texts) for shape in spans.shapes], np.bool_)[spans.shape[rows]]
        silent = has_texts & _silent(spans, rows, group, groups)
        numbers, first = np.unique(group[silent], return_index=True)
        firsts = np.flatnonzero(silent)[first]  # what their texts hold, those of the whole group hold
        has_texts[silent] = False
        has_texts[firsts] = True
        some = np.flatnonzero(has_texts)
        of_group = group[some].tolist()
        for row, number, (shape, status, values) in zip(some.tolist(), of_group, spans.lists(rows[some]), strict=True):
            self._take(row, number, groups[number].read.again(shape, values), status)
        by_group = np.zeros(len(groups), np.int64)
        by_group[numbers] = self.group[firsts]
        self.group[silent] = by_group[group[silent]]

    def _take(self, row: int, group: int, read: Reading, status: str) -> None:
        facts = read.text_facts()
        known = self._known.get((group, facts))
        if known is None:
            known = self._known[group, facts] = self._new(read, status)
        else:
            read.fill(known.own)
        if known.may_be_searched and read.searched():
            self.odd.append(row)
            return
        self.group[row] = known.group
        for field_name, name, fact in known.places:
            if read.raw.get(field_name):
                continue
            rows, texts = self.fields[field_name]
            rows.append(row)
            texts.append(read.fact(name, fact))
        if known.is_answer:
            self.responses[row] = response_id(read)

    def _new(self, read: Reading, status: str) -> _SameTexts:
        kind = self._by.kind_of(read, status)
        self.groups.append(Group(read, kind))
        has_figures = read.is_call and kind.case is not None
        places = read.places()
        return _SameTexts(
            group=len(self.groups) - 1,
            own={name: place for name, place in places.items() if name in _OWN},
            places=tuple((name, *place) for name, place in places.items() if name in self.fields),
            may_be_searched=read.may_be_searched(),
            is_answer=has_figures and not read.raw.get("response_id") and "output" in read.present,
        )


def _silent(spans: Spans, rows: Ints, group: Ints, groups: Sequence[Group]) -> Bools:
    """Spans whose texts hold no facts, because a word does not stand in them."""
    words = [one.read.silent_without() for one in groups]
    silent = np.array([one is not None for one in words], np.bool_)[group]
    silent &= np.array([not shape.quoted for shape in spans.shapes], np.bool_)[spans.shape[rows]]
    for name, word in {pair for one in words if one for pair in one.items()}:
        of_word = silent & np.array([name in (one or ()) for one in words], np.bool_)[group]
        some = np.flatnonzero(of_word)
        has, items = spans.items(rows[some], [dict(shape.texts).get(name, -1) for shape in spans.shapes])
        found = pc.match_substring(spans.take(items), word, ignore_case=True)
        silent[some[has[found.to_numpy(zero_copy_only=False)]]] = False
    return silent
