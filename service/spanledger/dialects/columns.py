"""Canonical columns of many spans at once.

Spans that differ in ids and figures only form a group, which the interpreter reads once. Ids, costs and times
are then read value by value, counts by columns (figures.py), each by the rule that the interpreter uses itself. A span
in which anything is unusual is left to the interpreter, which reads it alone.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.dialects import plain
from spanledger.dialects.alike import Bools, Ints, one_chunk
from spanledger.dialects.amounts import (
    BILLING,
    FIRST_CHUNK_FIELDS,
    FirstChunk,
    claimed,
    first_chunk_ns,
    is_bill,
    of_ticks,
    saved,
)
from spanledger.dialects.batch import Spans
from spanledger.dialects.figures import Figures, Usage
from spanledger.dialects.identity import genuine_id
from spanledger.dialects.interpreter import (
    CANONICAL,
    Interpreter,
    bounded,
    conversation_id,
    correlation_id,
    interpreter,
    told_calls,
)
from spanledger.dialects.lexicon import ANSWER
from spanledger.dialects.recent import Recent
from spanledger.dialects.tables import EVENT
from spanledger.dialects.usage import COLUMNS, Case, is_plain_count
from spanledger.dialects.values import unquoted
from spanledger.dialects.within import Group, Within

Texts = npt.NDArray[np.object_]
_MAX_GROUPS = 20_000
_FIRST_TOKEN = EVENT + "first_token_ns"
_COUNT = "^[0-9]{1,12}$"  # of what usage.is_plain_count says


class ColumnReader:
    """Reads spans by columns, as an interpreter would."""

    def __init__(self, by: Interpreter) -> None:
        self._by = by
        self._groups: Recent[Group] = Recent(_MAX_GROUPS)
        self._figures = Figures()

    def read(self, table: pa.Table) -> tuple[dict[str, Any], Bools]:
        """The canonical columns of the spans that can be read by columns, and their mask. `table`: in one chunk, with
        `facts` and the other columns of `SpanFacts`."""
        spans = Spans(table, self._by)
        fit = spans.fitting()
        members, group = spans.grouped(fit)
        groups = [self._group(spans, span) for span in fit[members].tolist()]
        within = Within(self._by, spans, fit, group, groups)
        reading = _Reading(spans, fit, within, self._figures)
        columns = reading.columns(table.schema)
        mask = np.zeros(table.num_rows, np.bool_)
        mask[fit[~reading.odd]] = True
        if reading.odd.any():
            keep = pa.array(~reading.odd)
            columns = {name: values.filter(keep) for name, values in columns.items()}
        return columns, mask

    def _group(self, spans: Spans, span: int) -> Group:
        """The group of a span; with texts, also by the facts in them."""
        key, shape = spans.kind_key(span)
        group = self._groups.get(key)
        if group is None:
            read = self._by.base(key[1:], shape, spans.facts_of(span))
            group = Group(read, self._by.kind_of(read, key[0]))
            if not shape.texts:
                self._groups[key] = group
        return group


class _Reading:
    """The fitting spans being read: `rows` of `spans`, and which of them are unusual after all (`odd`)."""

    def __init__(self, spans: Spans, rows: Ints, within: Within, figures: Figures) -> None:
        self._spans = spans
        self._rows = rows
        self._within = within
        self._group = within.group
        self._groups = within.groups
        self._figures = figures
        self.odd: Bools = np.zeros(len(rows), np.bool_)
        self.odd[within.odd] = True

    def columns(self, schema: pa.Schema) -> dict[str, Any]:
        size = len(self._rows)
        usage = self._usage()
        found = self._ids() | self._calls()
        amounts, sources = self._claims()
        there = [
            usage.known["input_tokens"],
            usage.known["output_tokens"],
            amounts.is_valid().to_numpy(zero_copy_only=False),
        ]
        there += [found["time_to_first_chunk_ns"] != None, found["response_id"] != ""]  # noqa: E711
        bits = sum(mask.astype(np.int64) << number for number, mask in enumerate(there))
        found |= {"cost_claim_source": sources, "usage_estimated": usage.estimated}
        columns = {name: pa.array(values, schema.field(name).type) for name, values in found.items()}
        columns["cost_claim_usd"] = amounts.cast(schema.field("cost_claim_usd").type)
        for name in COLUMNS:
            columns[name] = pa.array(usage.values[name], pa.int64(), mask=~usage.known[name])
        anomalies = pa.array(usage.anomalies, schema.field("anomalies").type)
        columns["anomalies"] = anomalies.take(pa.array(usage.anomaly))
        columns["told_calls"] = pa.array(self._told_calls(), pa.int64())
        pairs, number = np.unique(self._group * 32 + bits, return_inverse=True)
        words = [self._groups[pair >> 5].words(pair & 31) for pair in pairs.tolist()]
        which = pa.array(number.reshape(size))
        shown = pa.array([one["told_calls"] for one in words], pa.int64()).take(which)
        columns["told_calls"] = pc.coalesce(shown, columns["told_calls"])
        for name in CANONICAL:
            if name not in columns:
                values = pa.array([one[name] for one in words], schema.field(name).type)
                columns[name] = values.take(which)
        return columns

    def _of_groups(self, value: Callable[[Group], bool]) -> Bools:
        """Per span what holds for its group."""
        return np.array([value(group) for group in self._groups], np.bool_)[self._group]

    def _text(self, name: str) -> Texts:
        """The value of a field per span, '' if it has none."""
        texts = self._own_text(name)
        rows, inner = self._within.fields[name]
        texts[rows] = np.array(inner, dtype=object)
        return texts

    def _own_text(self, name: str) -> Texts:
        """The same without what stands within values."""
        spans = self._spans
        texts = np.full(len(self._rows), "", dtype=object)
        has, items = spans.items(self._rows, [positions.get(name, -1) for positions in spans.per_span])
        texts[has] = spans.take(items).to_numpy(zero_copy_only=False)
        quoted = np.array([name in shape.quoted for shape in spans.shapes], np.bool_)[spans.shape[self._rows]]
        for row in np.flatnonzero(quoted & (texts != "")).tolist():
            texts[row] = unquoted(texts[row])
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
        self.odd |= self._has_other_conversations() & np.array(
            [text.startswith(ANSWER) for text in conversation], np.bool_
        )
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

    def _has_other_conversations(self) -> Bools:
        """Spans that may name their conversation in another place, too."""
        spans = self._spans
        others = [len(s.conversations) > 1 or bool(s.objects) for s in spans.shapes]
        others = [other or "bare_conversation_id" in at for other, at in zip(others, spans.per_span, strict=True)]
        return np.array(others, np.bool_)[spans.shape[self._rows]]

    def _calls(self) -> dict[str, Any]:
        """What only calls have."""
        size = len(self._rows)
        is_call = self._of_groups(lambda group: group.kind.case is not None and group.kind.case.is_call)
        ids, own, saving = self._own_text("response_id"), self._text("own_call_id"), self._own_text("saved")
        amounts, first = np.full(size, None, dtype=object), np.full(size, None, dtype=object)
        ids[~is_call] = ""
        for row, text in self._within.responses.items():
            notes: list[str] = []
            ids[row] = bounded("response_id", text, notes)
            self.odd[row] |= bool(notes)
        has_texts = np.zeros(size, np.bool_)
        has_texts[list(self._within.responses)] = True
        for row in np.flatnonzero((ids != "") & ~has_texts).tolist():
            notes = []
            ids[row] = bounded("response_id", genuine_id(ids[row], own[row]), notes)
            self.odd[row] |= bool(notes)
        for row in np.flatnonzero(is_call & (saving != "")).tolist():
            amounts[row] = saved(saving[row])
        self._first_chunks(first, is_call)
        return {"response_id": ids, "saved_usd": amounts, "time_to_first_chunk_ns": first}

    def _first_chunks(self, result: Texts, is_call: Bools) -> None:
        spans = self._spans
        words = [self._own_text(name) for name in FIRST_CHUNK_FIELDS]
        event = np.full(len(self._rows), "", dtype=object)
        has, items = spans.items(self._rows, [dict(s.per_span_events).get(_FIRST_TOKEN, -1) for s in spans.shapes])
        event[has] = spans.take(items).to_numpy(zero_copy_only=False)
        words.append(event)
        some = is_call & np.logical_or.reduce([texts != "" for texts in words])
        lasted_ns = one_chunk(spans.table["duration_ns"]).to_numpy()[self._rows]
        some[plain.first_chunks(words[0], is_call, lasted_ns, result)] = False  # seconds take precedence
        rows = np.flatnonzero(some)
        started = one_chunk(spans.table["started_at_ns"]).to_numpy()[self._rows[rows]].tolist()
        lasted = lasted_ns[rows].tolist()
        for row, start, duration in zip(rows.tolist(), started, lasted, strict=True):
            group = self._groups[self._group[row]]
            chunk = FirstChunk(*(texts[row] for texts in words))
            in_ms = group.read.case("first_token_in_ms")
            result[row] = first_chunk_ns(chunk, group.kind.end.is_stream, in_ms, start, duration)

    def _told_calls(self) -> Texts:
        """The number of calls that spans other than calls report."""
        texts = self._text("told_calls")
        result = np.full(len(texts), None, dtype=object)
        is_other = self._of_groups(lambda group: group.kind.case is not None and not group.kind.case.is_call)
        for row in np.flatnonzero(is_other & (texts != "")).tolist():
            result[row] = told_calls(texts[row])
        return result

    def _claims(self) -> tuple[pa.Array, Texts]:
        texts, own, ticks = self._text("cost"), self._own_text("cost"), self._own_text("cost_ticks")
        for row in np.flatnonzero((texts == "") & (ticks != "")).tolist():
            texts[row] = of_ticks(ticks[row])
        has_figures = self._of_groups(lambda group: group.kind.case is not None)
        plainly = np.array([_plain_source(group) for group in self._groups], dtype=object)[self._group]
        plainly[~has_figures] = ""
        rows, found, sources = plain.claims(texts, plainly)
        amounts = np.full(len(texts), None, dtype=object)
        left = has_figures & (texts != "")
        left[rows] = False
        for row in np.flatnonzero(left).tolist():
            group = self._groups[self._group[row]]
            notes: list[str] = []
            currency, source = group.read.own("cost_currency").lower(), group.read.own("cost_source").lower()
            is_billed = not own[row] and is_bill(group.read, group.kind.words["provider"])
            amounts[row], sources[row] = claimed(texts[row], currency, source, is_billed, notes)
            self.odd[row] |= bool(notes)
        return pc.coalesce(found, pa.array(amounts, found.type)), sources

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
        of_group = [cases.setdefault(g.kind.case, len(cases)) if g.kind.case is not None else -1 for g in self._groups]
        case = np.array(of_group, np.int64)[self._group]
        rows = np.flatnonzero(case >= 0)
        known = list(cases)
        width = len(names)
        for key in np.unique((case[rows] << width) | there[rows]).tolist():
            some = rows[((case[rows] << width) | there[rows]) == key]
            row_counts = {name: counts[name][some] for number, name in enumerate(names) if key >> number & 1}
            self._figures.fill(usage, known[key >> width], some, row_counts)
        return usage

    def _counts(self, name: str) -> tuple[Ints, Ints]:
        """A count, and which spans have it; anything but a plain number makes a span unusual."""
        spans = self._spans
        result = np.zeros(len(self._rows), np.int64)
        has, items = spans.items(self._rows, [positions.get(name, -1) for positions in spans.per_span])
        if len(has):
            texts = spans.take(items)
            is_count = pc.match_substring_regex(texts, _COUNT)
            result[has] = pc.if_else(is_count, texts, "0").cast(pa.int64()).to_numpy()
            self.odd[has[~is_count.to_numpy(zero_copy_only=False)]] = True
        rows, inner = self._within.fields[name]
        for row, text in zip(rows, inner, strict=True):
            if is_plain_count(text):
                result[row] = int(text)
            else:
                self.odd[row] = True
        return result, np.concatenate([has, np.array(rows, np.int64)])


def _plain_source(group: Group) -> str:
    """Who computed the cost claims of this group, if that does not depend on the amount; else ''."""
    currency, source = group.read.own("cost_currency").lower(), group.read.own("cost_source").lower()
    if currency not in ("", "usd") or (group.kind.case is not None and group.kind.words["provider"] in BILLING):
        return ""
    return "provider" if source == "provider" else "local"


@cache
def column_reader() -> ColumnReader:
    """By the tables of this installation."""
    return ColumnReader(interpreter())
