"""Cost over time by the values of a dimension, as columns of a chart and as the table behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from spanledger.web import charts
from spanledger.web.page import link
from spanledger.web.ranges import Range
from spanledger.web.shown import money

_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MOST_BUCKETS = 400
SHOWN = 5  # values with a colour of their own
OTHER = "other"


@dataclass(frozen=True)
class Row:
    """One bucket: its usage, and the usage of each named value in it (None: none)."""

    start: str
    label: str
    usage: dict[str, Any]
    parts: list[dict[str, Any] | None]
    window: dict[str, str]


@dataclass(frozen=True)
class Series:
    """`names`: values of the dimension, dearest first; what is left is `other` in the chart."""

    dimension: str
    names: list[str]
    rows: list[Row]
    columns: list[charts.Column]
    bucket: str

    @property
    def has_other(self) -> bool:
        """Whether anything is left beside the named ones."""
        return any(column.amounts and column.amounts[-1] for column in self.columns)


def series(range_: Range, whole: dict[str, Any], dimension: str, bucket: str) -> Series:
    """`whole`: the answer of /v1/usage with `bucket`, grouped by `dimension`, with `series=SHOWN`."""
    drawn = [group for group in whole["groups"] if group.get("buckets") and group[dimension]]
    drawn = [group for group in drawn if Decimal(group["usage"]["cost_usd"]) > 0]
    names = [group[dimension] for group in drawn]
    parts = [{one["start"]: one["usage"] for one in group["buckets"]} for group in drawn]
    rows = [_row(range_, bucket, one, parts) for one in whole["buckets"]]
    by_start = {row.start: row for row in rows}
    columns = [
        _column(by_start.get(_text(start)), start, bucket, names, range_) for start in _starts(range_, rows, bucket)
    ]
    return Series(dimension, names, rows, columns, bucket)


def _row(range_: Range, bucket: str, one: dict[str, Any], parts: Sequence[dict[str, Any]]) -> Row:
    start = _moment(one["start"])
    window = {"from": _short(start), "to": _short(start + _STEPS[bucket])}
    return Row(one["start"], _label(start, bucket), one["usage"], [part.get(one["start"]) for part in parts], window)


def _column(row: Row | None, start: datetime, bucket: str, names: Sequence[str], range_: Range) -> charts.Column:
    href = link("/messages", {"from": _short(start), "to": _short(start + _STEPS[bucket])})
    if row is None:
        return charts.Column(_label(start, bucket), href, [], f"{_label(start, bucket)}: nothing")
    amounts = [Decimal(part["cost_usd"]) if part else Decimal(0) for part in row.parts]
    rest = Decimal(row.usage["cost_usd"]) - sum(amounts, Decimal(0))
    parts = [f"{name}: {money(amount)}" for name, amount in zip(names, amounts, strict=True) if amount]
    if rest > 0:
        parts.append(f"{OTHER}: {money(rest)}")
    amounts += [Decimal(0)] * (charts.SERIES - 1 - len(amounts)) + [max(rest, Decimal(0))]
    return charts.Column(row.label, href, amounts, f"{row.label}: {', '.join(parts) or 'no cost'}")


def _starts(range_: Range, rows: Sequence[Row], bucket: str) -> list[datetime]:
    """All buckets of the range, empty ones too; of an open range, from the first with usage to the last."""
    if not rows and range_.start is None:
        return []
    step = _STEPS[bucket]
    first = range_.start or _moment(rows[0].start)
    last = range_.end or _moment(rows[-1].start) + step
    seconds = step.total_seconds()
    at = datetime.fromtimestamp(first.timestamp() // seconds * seconds, UTC)
    starts: list[datetime] = []
    while at < last and len(starts) < _MOST_BUCKETS:
        starts.append(at)
        at += step
    return starts


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000000Z"


def _short(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def _label(at: datetime, bucket: str) -> str:
    return f"{at.day} {at:%b}" if bucket == "day" else f"{at.day} {at:%b %H:%M}"
