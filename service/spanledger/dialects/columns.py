"""Canonical columns of many spans at once.

Spans that say the same but for ids and figures are one group, which the interpreter reads once. Ids, costs and times
are then read value by value, counts by columns (figures.py), each by the rule that the interpreter uses itself. A span
in which anything is unusual is left to the interpreter, which reads it alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.dialects.alike import Bools, Facts, Ints, equal_sequences, numbered
from spanledger.dialects.facts import Reading
from spanledger.dialects.figures import Figures, Usage
from spanledger.dialects.identity import genuine_id
from spanledger.dialects.interpreter import (
    CANONICAL,
    MAX_STILL,
    OTHER_FIGURES,
    Interpreter,
    Kind,
    Said,
    bounded,
    by_presence,
    conversation_id,
    correlation_id,
    interpreter,
)
from spanledger.dialects.lexicon import Shape
from spanledger.dialects.recent import Recent
from spanledger.dialects.tables import EVENT
from spanledger.dialects.usage import (
    COLUMNS,
    FIRST_CHUNK_FIELDS,
    Case,
    FirstChunk,
    case_of,
    claimed,
    first_chunk_ns,
    saved,
)

Texts = npt.NDArray[np.object_]
_MAX_GROUPS = 20_000
_FIRST_TOKEN = EVENT + "first_token_ns"
_COUNT = "^[0-9]{1,12}$"  # what usage.py takes as a count without a further look


@dataclass
class _Group:
    """Spans that differ in ids and figures only; `by_figures`: their words, by which figures are there."""

    read: Reading
    kind: Kind
    case: Case | None  # None: a span of this group has no figures
    by_figures: dict[int, dict[str, Any]] = field(default_factory=dict)

    def words(self, bits: int) -> dict[str, Any]:
        found = self.by_figures.get(bits)
        if found is None:
            found = self.by_figures[bits] = self._words(bits)
        return found

    def _words(self, bits: int) -> dict[str, Any]:
        if self.case is None:
            return self.kind.words | {"told_calls": None}
        there = {name: 1 if bits >> number & 1 else None for number, name in enumerate(_PRESENCE)}
        return self.kind.words | by_presence(self.read, self.kind, there)


_PRESENCE = ("input_tokens", "output_tokens", "cost_claim_usd", "time_to_first_chunk_ns", "response_id")


class ColumnReader:
    """Reads spans by columns, as an interpreter would."""

    def __init__(self, by: Interpreter) -> None:
        self._by = by
        self._groups: Recent[_Group] = Recent(_MAX_GROUPS)
        self._figures = Figures()

    def read(self, told: pa.Table) -> tuple[dict[str, Any], Bools]:
        """The canonical columns of the spans that can be read so, and which those are. `told`: in one chunk, with
        `facts` and the other columns of `Said`."""
        spans = _Spans(told, self._by)
        fit = spans.fitting()
        members, group = spans.grouped(fit)
        groups = [self._group(*spans.kind_key(fit[member])) for member in members.tolist()]
        reading = _Reading(spans, fit, group, groups, self._figures)
        columns = reading.columns(told.schema)
        mask = np.zeros(told.num_rows, np.bool_)
        mask[fit[~reading.odd]] = True
        if reading.odd.any():
            keep = pa.array(~reading.odd)
            columns = {name: values.filter(keep) for name, values in columns.items()}
        return columns, mask

    def _group(self, key: tuple[Any, ...], shape: Shape, said: Callable[[], Said]) -> _Group:
        group = self._groups.get(key)
        if group is None:
            read, kind = self._by.kind(key[1:], shape, said())
            words = kind.words
            case = None
            if read.is_genai and words["operation"] != "count_tokens":
                model = words["response_model"] or words["request_model"]
                case = case_of(read, words["provider"], model, kind.end)
            group = self._groups[key] = _Group(read, kind, case)
        return group


class _Spans:
    """Spans in their own words as columns."""

    def __init__(self, told: pa.Table, by: Interpreter) -> None:
        self.by = by.by
        self.told = told
        self.facts = Facts(_one(told["facts"]))
        facts = self.facts
        members, self.shape = equal_sequences(facts.key, facts.first, facts.count, ())
        self.shapes: list[Shape] = [self.by.shape(facts.keys_of(member)) for member in members.tolist()]
        self.moving = [dict(shape.moving) for shape in self.shapes]
        self.words = {name: numbered(_one(told[name])) for name in ("scope", "span_name", "status")}
        self._lay_out_still()

    def _lay_out_still(self) -> None:
        """Where the values stand that spans of a kind share."""
        count = np.array([len(shape.positions) for shape in self.shapes], np.int64)
        begin = np.cumsum(count) - count
        flat = np.array([p for shape in self.shapes for p in shape.positions], np.int64)
        self._still_count = count[self.shape]
        self._still_first = np.cumsum(self._still_count) - self._still_count
        span = np.repeat(np.arange(len(self.shape)), self._still_count)
        place = np.arange(len(span)) - self._still_first[span]
        entry = self.facts.first[span] + flat[begin[self.shape[span]] + place] if len(span) else span
        self._still_item = self.facts.item[entry]
        self._still_length = np.bincount(span, self.facts.length[self._still_item], len(self.shape))

    def fitting(self) -> Ints:
        """The spans that the interpreter would read by their kind, without texts that hold more facts."""
        is_plain = np.array([not shape.shaped and not shape.texts for shape in self.shapes], np.bool_)
        fit = is_plain[self.shape] & (self._still_length <= MAX_STILL)
        fit &= (pc.list_value_length(self.told["anomalies"]).to_numpy() == 0) & (self.facts.count > 0)
        fit[self.facts.span[self.facts.length == 0]] = False
        return np.flatnonzero(fit)

    def grouped(self, fit: Ints) -> tuple[Ints, Ints]:
        """Members and groups of the fitting spans that are of one kind and shape's sort."""
        count = self._still_count[fit]
        first = np.cumsum(count) - count
        span = np.repeat(np.arange(len(fit)), count)
        entry = self._still_first[fit][span] + np.arange(len(span)) - first[span]
        values = self.facts.values.take(pa.array(self._still_item[entry]))
        self._codes, self._still_words = numbered(values)
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

    def kind_key(self, span: int) -> tuple[tuple[Any, ...], Shape, Callable[[], Said]]:
        """By what the kind of a fitting span is remembered (after its status), its shape, and what it says."""
        number = self.shape[span]
        shape = self.shapes[number]
        scope, name, status = (texts[numbers[span]] for numbers, texts in self.words.values())
        first = self._fit_first[self._place[span]]
        still = [self._still_words[code] for code in self._codes[first : first + self._still_count[span]].tolist()]
        key = (status, shape.sort, scope, name, self.dialect(scope, number), *still)
        return key, shape, lambda: Said(
            *(scope, name, status, 0, 0, ()), keys=self.facts.keys_of(span), values=self.facts.values_of(span)
        )

    def items(self, rows: Ints, places: list[int]) -> tuple[Ints, Ints]:
        """Which of `rows` have a value at the place that their shape has for it (−1: none), and where it lies."""
        place = np.array(places, np.int64)[self.shape[rows]]
        has = np.flatnonzero(place >= 0)
        return has, self.facts.item[self.facts.first[rows[has]] + place[has]]

    def take(self, items: Ints) -> pa.Array:
        return self.facts.values.take(pa.array(items))


class _Reading:
    """The fitting spans being read: `rows` of `spans`, the group of each, and which are unusual after all (`odd`)."""

    def __init__(self, spans: _Spans, rows: Ints, group: Ints, groups: list[_Group], figures: Figures) -> None:
        self._spans = spans
        self._rows = rows
        self._group = group
        self._groups = groups
        self._figures = figures
        self.odd: Bools = np.zeros(len(rows), np.bool_)

    def columns(self, schema: pa.Schema) -> dict[str, Any]:
        size = len(self._rows)
        usage = self._usage()
        found = self._ids() | self._calls()
        amounts, sources = self._claims()
        there = [usage.known["input_tokens"], usage.known["output_tokens"], amounts != None]  # noqa: E711
        there += [found["time_to_first_chunk_ns"] != None, found["response_id"] != ""]  # noqa: E711
        bits = sum(mask.astype(np.int64) << number for number, mask in enumerate(there))
        found |= {"cost_claim_usd": amounts, "cost_claim_source": sources, "usage_estimated": usage.estimated}
        columns = {name: pa.array(values, schema.field(name).type) for name, values in found.items()}
        for name in COLUMNS:
            columns[name] = pa.array(usage.values[name], pa.int64(), mask=~usage.known[name])
        said = pa.array(usage.anomalies, schema.field("anomalies").type)
        columns["anomalies"] = said.take(pa.array(usage.anomaly))
        pairs, number = np.unique(self._group * 32 + bits, return_inverse=True)
        words = [self._groups[pair >> 5].words(pair & 31) for pair in pairs.tolist()]
        which = pa.array(number.reshape(size))
        for name in CANONICAL:
            if name not in columns:
                values = pa.array([one[name] for one in words], schema.field(name).type)
                columns[name] = values.take(which)
        return columns

    def _of_groups(self, value: Callable[[_Group], bool]) -> Bools:
        """Per span what holds for its group."""
        return np.array([value(group) for group in self._groups], np.bool_)[self._group]

    def _text(self, name: str) -> Texts:
        """What each span says in a field, '' for nothing."""
        spans = self._spans
        texts = np.full(len(self._rows), "", dtype=object)
        has, items = spans.items(self._rows, [moving.get(name, -1) for moving in spans.moving])
        texts[has] = spans.take(items).to_numpy(zero_copy_only=False)
        quoted = np.array([name in shape.quoted for shape in spans.shapes], np.bool_)[spans.shape[self._rows]]
        self.odd |= quoted & (texts != "")
        return texts

    def _mapped(self, texts: Texts, value: Callable[[str, list[str]], str]) -> Texts:
        """What a rule makes of each text; spans in which it finds something odd are unusual."""
        result = texts.copy()
        for row in np.flatnonzero(texts != "").tolist():
            notes: list[str] = []
            result[row] = value(texts[row], notes)
            if notes:
                self.odd[row] = True
        return result

    def _ids(self) -> dict[str, Any]:
        is_genai = self._of_groups(lambda group: group.read.is_genai)
        conversation, user = self._text("conversation_id"), self._text("user_id")
        for texts, name in ((conversation, "bare_conversation_id"), (user, "bare_user_id")):
            bare = self._text(name)
            instead = is_genai & (texts == "")
            texts[instead] = bare[instead]
        return {
            "conversation_id": self._mapped(conversation, conversation_id),
            "user_id": self._mapped(user, lambda text, notes: bounded("user_id", text, notes)),
            "message_id": self._mapped(
                self._text("message_id"), lambda text, notes: bounded("message_id", text, notes)
            ),
            "correlation_id": self._mapped(self._text("correlation_id"), correlation_id),
        }

    def _calls(self) -> dict[str, Any]:
        """What only calls have."""
        size = len(self._rows)
        is_call = self._of_groups(lambda group: group.case is not None and group.case.is_call)
        ids, own, saving = self._text("response_id"), self._text("own_call_id"), self._text("saved")
        amounts, first = np.full(size, None, dtype=object), np.full(size, None, dtype=object)
        ids[~is_call] = ""
        for row in np.flatnonzero(ids != "").tolist():
            read, kind, notes = self._groups[self._group[row]].read, self._groups[self._group[row]].kind, []
            no_chatcmpl = kind.words["provider"] in read.by.sets["no_chatcmpl_ids"]
            ids[row] = bounded("response_id", genuine_id(ids[row], own[row], no_chatcmpl), notes)
            self.odd[row] |= bool(notes)
        for row in np.flatnonzero(is_call & (saving != "")).tolist():
            amounts[row] = saved(saving[row])
        self._first_chunks(first, is_call)
        return {"response_id": ids, "saved_usd": amounts, "time_to_first_chunk_ns": first}

    def _first_chunks(self, result: Texts, is_call: Bools) -> None:
        spans = self._spans
        words = [self._text(name) for name in FIRST_CHUNK_FIELDS]
        event = np.full(len(self._rows), "", dtype=object)
        has, items = spans.items(self._rows, [dict(s.moving_events).get(_FIRST_TOKEN, -1) for s in spans.shapes])
        event[has] = spans.take(items).to_numpy(zero_copy_only=False)
        words.append(event)
        some = is_call & np.logical_or.reduce([texts != "" for texts in words])
        rows = np.flatnonzero(some)
        started = _one(spans.told["started_at_ns"]).to_numpy()[self._rows[rows]].tolist()
        lasted = _one(spans.told["duration_ns"]).to_numpy()[self._rows[rows]].tolist()
        for row, start, duration in zip(rows.tolist(), started, lasted, strict=True):
            group = self._groups[self._group[row]]
            said = FirstChunk(*(texts[row] for texts in words))
            in_ms = group.read.case("first_token_in_ms")
            result[row] = first_chunk_ns(said, group.kind.end.is_stream, in_ms, start, duration)

    def _claims(self) -> tuple[Texts, Texts]:
        texts = self._text("cost")
        amounts, sources = np.full(len(texts), None, dtype=object), np.full(len(texts), "", dtype=object)
        has_figures = self._of_groups(lambda group: group.case is not None)
        for row in np.flatnonzero(has_figures & (texts != "")).tolist():
            read, notes = self._groups[self._group[row]].read, []
            currency, source = read.r("cost_currency").lower(), read.r("cost_source").lower()
            amounts[row], sources[row] = claimed(texts[row], currency, source, False, notes)
            self.odd[row] |= bool(notes)
        return amounts, sources

    def _usage(self) -> Usage:
        """Counts, each case by itself and in it those spans that have the same counts."""
        size = len(self._rows)
        usage = Usage.unknown(size)
        names = self._spans.by.tables.counts
        counts, there = {}, np.zeros(size, np.int64)
        for number, name in enumerate(names):
            counts[name], has = self._counts(name)
            there[has] |= 1 << number
        cases: dict[Case, int] = {}
        of_group = [cases.setdefault(g.case, len(cases)) if g.case is not None else -1 for g in self._groups]
        case = np.array(of_group, np.int64)[self._group]
        rows = np.flatnonzero(case >= 0)
        known = list(cases)
        width = len(names)
        for key in np.unique((case[rows] << width) | there[rows]).tolist():
            some = rows[((case[rows] << width) | there[rows]) == key]
            said = {name: counts[name][some] for number, name in enumerate(names) if key >> number & 1}
            self._figures.fill(usage, known[key >> width], some, said)
        return usage

    def _counts(self, name: str) -> tuple[Ints, Ints]:
        """A count, and which spans say it; what is no plain number makes a span unusual."""
        spans = self._spans
        result = np.zeros(len(self._rows), np.int64)
        has, items = spans.items(self._rows, [moving.get(name, -1) for moving in spans.moving])
        if len(has):
            texts = spans.take(items)
            is_count = pc.match_substring_regex(texts, _COUNT)
            result[has] = pc.if_else(is_count, texts, "0").cast(pa.int64()).to_numpy()
            self.odd[has[~is_count.to_numpy(zero_copy_only=False)]] = True
        return result, has


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


@cache
def column_reader() -> ColumnReader:
    """By the tables of this installation."""
    return ColumnReader(interpreter())
