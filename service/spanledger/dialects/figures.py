"""The rules of usage.py on counts, worked out once for all spans of one case and applied to whole columns.

The rules run on figures that note every comparison made and every sum formed. Their result then holds for all spans
whose counts compare alike, so a second span of the kind costs a few operations on columns. The rules stand in usage.py
only; an operation that figures do not know raises TypeError.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spanledger.dialects.recent import Recent
from spanledger.dialects.usage import COLUMNS, Case, tokens

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_OPPOSITE = {"==": "!=", "!=": "==", ">": "<=", "<=": ">"}
_MOST_WAYS = 40  # through the rules, of one case with the same counts there; more are worked out span by span
_MAX_CASES = 2_000


class _Figure:
    """A sum of counts, each times a whole number, and a constant; with the value that it has for one span."""

    __slots__ = ("constant", "terms", "value", "way")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: int, terms: dict[str, int], constant: int, way: "_Way") -> None:
        self.value = value
        self.terms = terms
        self.constant = constant
        self.way = way

    def _with(self, other: Any, sign: int) -> "_Figure":
        if isinstance(other, _Figure):
            terms = self.terms.copy()
            for name, factor in other.terms.items():
                terms[name] = terms.get(name, 0) + sign * factor
            return _Figure(self.value + sign * other.value, terms, self.constant + sign * other.constant, self.way)
        if isinstance(other, int):
            return _Figure(self.value + sign * other, self.terms, self.constant + sign * other, self.way)
        return NotImplemented  # type: ignore[no-any-return]

    def __add__(self, other: Any) -> "_Figure":
        return self._with(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> "_Figure":
        return self._with(other, -1)

    def __rsub__(self, other: Any) -> "_Figure":
        return (self * -1)._with(other, 1)

    def __mul__(self, other: Any) -> "_Figure":
        if not isinstance(other, int):
            return NotImplemented
        terms = {name: factor * other for name, factor in self.terms.items()}
        return _Figure(self.value * other, terms, self.constant * other, self.way)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return not self.way.noted(self, "==", self.value == 0)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, _Figure | int):
            return False
        difference = self - other
        return self.way.noted(difference, "==", difference.value == 0)

    def __gt__(self, other: Any) -> bool:
        difference = self - other
        return self.way.noted(difference, ">", difference.value > 0)

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __lt__(self, other: Any) -> bool:
        difference = other - self
        return self.way.noted(difference, ">", difference.value > 0)

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def of(self, counts: Mapping[str, Ints], size: int) -> Ints:
        total = np.full(size, self.constant, np.int64)
        for name, factor in self.terms.items():
            if factor:
                total += factor * counts[name]
        return total


@dataclass
class _Way:
    """One path through the rules: its comparisons, and the result at its end."""

    conditions: list[tuple[_Figure, str]] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)

    def noted(self, figure: _Figure, comparison: str, is_so: bool) -> bool:
        self.conditions.append((figure, comparison if is_so else _OPPOSITE[comparison]))
        return is_so

    def holds(self, counts: Mapping[str, Ints], size: int) -> Bools:
        mask = np.ones(size, np.bool_)
        for figure, comparison in self.conditions:
            values = figure.of(counts, size)
            match comparison:
                case "==":
                    mask &= values == 0
                case "!=":
                    mask &= values != 0
                case ">":
                    mask &= values > 0
                case _:
                    mask &= values <= 0
        return mask


def _way(case: Case, counts: Mapping[str, int]) -> _Way:
    """The way that these counts go. TypeError where the rules do what figures do not know."""
    way = _Way()
    figures = {name: _Figure(count, {name: 1}, 0, way) for name, count in counts.items()}
    way.columns = tokens(case, figures, way.anomalies)
    # The rules have ended: what they noted stays, each comparison once.
    seen: dict[tuple[Any, ...], tuple[_Figure, str]] = {}
    for figure, comparison in way.conditions:
        key = (tuple(sorted(figure.terms.items())), figure.constant, comparison)
        seen.setdefault(key, (figure, comparison))
    way.conditions = list(seen.values())
    return way


@dataclass
class Usage:
    """Token columns of some spans: values and whether they are known; `anomalies`: by number, with those numbers."""

    values: dict[str, Ints]
    known: dict[str, Bools]
    estimated: Ints
    anomaly: Ints
    anomalies: list[list[str]]

    @classmethod
    def unknown(cls, size: int) -> "Usage":
        return cls(
            {name: np.zeros(size, np.int64) for name in COLUMNS},
            {name: np.zeros(size, np.bool_) for name in COLUMNS},
            np.zeros(size, np.int64),
            np.zeros(size, np.int64),
            [[]],
        )

    def _number(self, anomalies: list[str]) -> int:
        ordered = sorted(set(anomalies))
        if ordered not in self.anomalies:
            self.anomalies.append(ordered)
        return self.anomalies.index(ordered)

    def take(self, columns: Mapping[str, Any], anomalies: list[str], rows: Ints, counts: Mapping[str, Ints]) -> None:
        """Stores the result of the rules for these rows."""
        self.anomaly[rows] = self._number(anomalies)
        self.estimated[rows] = columns["usage_estimated"]
        for name in COLUMNS:
            value = columns[name]
            if value is not None:
                self.known[name][rows] = True
                self.values[name][rows] = value.of(counts, len(rows)) if isinstance(value, _Figure) else value


class Figures:
    """Works out counts by columns; remembers the ways through the rules."""

    def __init__(self) -> None:
        self._ways: Recent[list[_Way]] = Recent(_MAX_CASES)

    def fill(self, usage: Usage, case: Case, rows: Ints, counts: Mapping[str, Ints]) -> None:
        """The token columns of `rows`, all of one case, with these counts of theirs."""
        for way, here in self._by_way(case, counts, len(rows)):
            some = {name: values[here] for name, values in counts.items()}
            if way is not None:
                usage.take(way.columns, way.anomalies, rows[here], some)
                continue
            for number, row in enumerate(rows[here].tolist()):
                anomalies: list[str] = []
                row_counts = {name: int(values[number]) for name, values in some.items()}
                usage.take(tokens(case, row_counts, anomalies), anomalies, np.array([row]), {})

    def _by_way(self, case: Case, counts: Mapping[str, Ints], size: int) -> Iterator[tuple[_Way | None, Ints]]:
        """Rows by the way that they go; None: each its own."""
        key = (case, *counts)
        ways = self._ways.get(key)
        if ways is None:
            ways = self._ways[key] = []
        rest = np.arange(size)
        number = 0
        while len(rest):
            some = {name: values[rest] for name, values in counts.items()}
            if number == len(ways):
                if number >= _MOST_WAYS:
                    yield None, rest
                    return
                ways.append(_way(case, {name: int(values[0]) for name, values in some.items()}))
            way = ways[number]
            number += 1
            is_here = way.holds(some, len(rest))
            if is_here.any():
                yield way, rest[is_here]
                rest = rest[~is_here]
