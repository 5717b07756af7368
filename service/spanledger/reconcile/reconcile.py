"""Compares the books with a provider's export, by day (UTC) and model.

Names are compared as they are; what then remains on both sides is compared by the model's name without its snapshot
date, because a bill may name `gpt-4o` or `Claude Haiku 4.5` where a response named `gpt-4o-2024-08-06`. If the export
does not distinguish models, all ours of that day are added up. Only figures that the export states are compared.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, Literal, NamedTuple

from spanledger.pricing import canonical
from spanledger.reconcile.exports import read_export
from spanledger.reconcile.usage_rows import Export, OtherCost, UsageRow, add_rows

__all__ = [
    "Comparison",
    "Export",
    "Line",
    "OtherCost",
    "Report",
    "UsageRow",
    "compare",
    "read_export",
    "render",
    "to_json",
]

Figure = Literal[
    "calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens", "cost_usd"
]
FIGURES: tuple[Figure, ...] = (
    "calls",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "cost_usd",
)
_BINARY_NOISE_USD = Decimal("0.000001")
_LISTED = 20  # unreadable lines that the report for people shows
Status = Literal["matched", "different", "missing", "extra"]


class Comparison(NamedTuple):
    """One figure on both sides; `apart`: their difference as a share of the larger, 0 to 1."""

    figure: Figure
    theirs: int | Decimal
    ours: int | Decimal
    apart: Decimal
    within: bool


class Line(NamedTuple):
    """One day and model. missing: the export has it, we do not. extra: we have it, the export does not."""

    day: date
    provider: str
    model: str
    status: Status
    figures: tuple[Comparison, ...]


@dataclass(frozen=True)
class Report:
    """The lines in the order of day and model; `other`: money in the export that is not for a model's tokens."""

    kind: str
    provider: str
    tolerance: Decimal
    lines: tuple[Line, ...]
    other: tuple[OtherCost, ...]
    notes: tuple[str, ...]
    unreadable: tuple[str, ...] = ()  # lines of the export that were left out, each with its place and reason

    @property
    def counts(self) -> Counter[str]:
        return Counter(line.status for line in self.lines)

    @property
    def within_tolerance(self) -> bool:
        """Whether every line was readable and matched: the exit code of the command."""
        return not self.unreadable and all(line.status == "matched" for line in self.lines)

    def totals(self) -> dict[Figure, tuple[int | Decimal, int | Decimal]]:
        """(theirs, ours) of every figure that the export states."""
        sums: dict[Figure, tuple[int | Decimal, int | Decimal]] = {}
        for line in self.lines:
            for one in line.figures:
                theirs, ours = sums.get(one.figure, (0, 0))
                sums[one.figure] = (theirs + one.theirs, ours + one.ours)
        return sums


def compare(export: Export, ours: Iterable[UsageRow], tolerance: Decimal = Decimal(0)) -> Report:
    """`tolerance`: the share by which a figure may differ and still match. Rows of ours that the export cannot know
    (another provider, a day that it does not cover) are left out; a note says so."""
    theirs_by_day = _by_day(export.rows)
    ours_by_day, outside = _ours(export, ours)
    lines: list[Line] = []
    stated = {figure for row in export.rows for figure in FIGURES if getattr(row, figure) is not None}
    for day in sorted(export.days):
        for model, their_row, our_row in _pairs(theirs_by_day[day], ours_by_day[day]):
            figures = _figures(their_row, our_row, stated, tolerance)
            lines.append(Line(day, export.provider, model, _status(their_row, our_row, figures), figures))
    notes = list(dict.fromkeys(export.notes))
    if outside:
        notes.append(f"{outside} of our rows are of days or providers that the export does not cover: not compared")
    return Report(
        export.kind,
        export.provider,
        tolerance,
        tuple(lines),
        tuple(export.other),
        tuple(notes),
        tuple(export.unreadable),
    )


def _by_day(rows: Iterable[UsageRow]) -> dict[date, list[UsageRow]]:
    days: dict[date, list[UsageRow]] = defaultdict(list)
    for row in rows:
        days[row.day].append(row)
    return days


def _ours(export: Export, ours: Iterable[UsageRow]) -> tuple[dict[date, list[UsageRow]], int]:
    inside, outside = [], 0
    for row in ours:
        if canonical(row.provider) == export.provider and row.day in export.days:
            inside.append(row._replace(provider=export.provider, model=row.model.strip().lower()))
        else:
            outside += 1
    return _by_day(inside), outside


_Pair = tuple[str, UsageRow | None, UsageRow | None]


def _pairs(theirs: list[UsageRow], ours: list[UsageRow]) -> Iterator[_Pair]:
    """(model, theirs, ours) of one day, in the order of models."""
    if any(not row.model for row in theirs):
        yield "", _sum(theirs), _sum(ours)
        return
    same = {row.model for row in theirs} & {row.model for row in ours}
    pairs = _matched(theirs, ours, same, lambda row: row.model)
    theirs, ours = ([row for row in side if row.model not in same] for side in (theirs, ours))
    bases = {base_name(row.model) for row in (*theirs, *ours)}
    pairs += _matched(theirs, ours, bases, lambda row: base_name(row.model))
    yield from sorted(pairs, key=lambda pair: pair[0])


def _matched(
    theirs: list[UsageRow], ours: list[UsageRow], names: set[str], name_of: Callable[[UsageRow], str]
) -> list[_Pair]:
    sides: list[dict[str, list[UsageRow]]] = []
    for rows in (theirs, ours):
        side: dict[str, list[UsageRow]] = defaultdict(list)
        for row in rows:
            side[name_of(row)].append(row)
        sides.append(side)
    pairs = []
    for name in names:
        found = [side[name] for side in sides]
        names_found = {row.model for rows in found for row in rows}  # one side alone keeps its own, longer name
        pairs.append((names_found.pop() if len(names_found) == 1 else name, _sum(found[0]), _sum(found[1])))
    return pairs


def base_name(model: str) -> str:
    """A model's name without snapshot date, and a display name as an id: `Claude 3.5 Sonnet 2024-10-22` →
    `claude-3-5-sonnet`."""
    name = model.strip().lower()
    if name.startswith("claude"):
        name = re.sub(r"[ .]+", "-", name)
    name = re.sub(r"[-@](?:20\d{2})-?\d{2}-?\d{2}$", "", name)
    return re.sub(r"[-@]latest$", "", name)


def _sum(rows: list[UsageRow]) -> UsageRow | None:
    return reduce(add_rows, rows) if rows else None


def _figures(
    theirs: UsageRow | None, ours: UsageRow | None, stated: set[Figure], tolerance: Decimal
) -> tuple[Comparison, ...]:
    found = []
    for figure in FIGURES:
        if figure not in stated or (theirs is not None and getattr(theirs, figure) is None):
            continue
        zero = Decimal(0) if figure == "cost_usd" else 0
        one, other = (zero if row is None else getattr(row, figure) or zero for row in (theirs, ours))
        slack = Decimal(0)
        if figure == "cost_usd":  # amounts pass through binary fractions on their way here
            slack = _BINARY_NOISE_USD + (theirs.rounding_usd if theirs is not None else 0)
        gap, larger = Decimal(abs(one - other)), Decimal(max(abs(one), abs(other)))
        apart = gap / larger if larger else Decimal(0)
        found.append(Comparison(figure, one, other, apart, gap <= larger * tolerance + slack))
    return tuple(found)


def _status(theirs: UsageRow | None, ours: UsageRow | None, figures: tuple[Comparison, ...]) -> Status:
    if all(one.within for one in figures):
        return "matched"  # also when one side is absent and the other too small to matter
    if ours is None:
        return "missing"
    if theirs is None:
        return "extra"
    return "different"


def render(report: Report) -> str:
    """The report for people: what differs, then the totals."""
    out = [f"{report.kind}, {report.provider}, tolerance {report.tolerance:.2%}"]
    for line in report.lines:
        if line.status == "matched":
            continue
        out.append(f"{line.day} {line.status:9} {line.model or '(all models)'}")
        out += [
            f"    {one.figure:26} theirs {_plain(one.theirs):>20}  ours {_plain(one.ours):>20}  {one.apart:.2%}"
            for one in line.figures
            if not one.within
        ]
    for figure, (theirs, ours) in report.totals().items():
        out.append(f"total {figure:24} theirs {_plain(theirs):>20}  ours {_plain(ours):>20}")
    other: dict[str, Decimal] = defaultdict(Decimal)
    for cost in report.other:
        other[cost.item] += cost.cost_usd
    out += [f"not for tokens, not compared: {item} {_plain(amount)} USD" for item, amount in sorted(other.items())]
    out += [f"note: {note}" for note in report.notes]
    out += [f"left out: {line}" for line in report.unreadable[:_LISTED]]
    if len(report.unreadable) > _LISTED:
        out.append(f"left out: {len(report.unreadable) - _LISTED} further lines")
    counts = report.counts
    out.append(", ".join(f"{counts[status]} {status}" for status in ("matched", "different", "missing", "extra")))
    return "\n".join(out)


def _plain(value: int | Decimal) -> int | str:
    return value if isinstance(value, int) else f"{value:f}"


def to_json(report: Report) -> dict[str, Any]:
    """The report for programs; money as decimal strings."""

    return {
        "kind": report.kind,
        "provider": report.provider,
        "tolerance": f"{report.tolerance:f}",
        "within_tolerance": report.within_tolerance,
        "counts": dict(report.counts),
        "lines": [
            {
                "day": line.day.isoformat(),
                "provider": line.provider,
                "model": line.model,
                "status": line.status,
                "figures": {
                    one.figure: {"theirs": _plain(one.theirs), "ours": _plain(one.ours), "within": one.within}
                    for one in line.figures
                },
            }
            for line in report.lines
        ],
        "other": [
            {"day": cost.day.isoformat(), "item": cost.item, "cost_usd": f"{cost.cost_usd:f}"} for cost in report.other
        ],
        "notes": list(report.notes),
        "unreadable": list(report.unreadable),
    }
