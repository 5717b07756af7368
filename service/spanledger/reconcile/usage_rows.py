"""Usage by day and model, and the values it is read from: numbers, amounts and times as exports write them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from spanledger.errors import BadRequest
from spanledger.foreign import texts
from spanledger.reconcile import cells


class UsageRow(NamedTuple):
    """Usage of one model on one day, by a provider's export or by our books. None: not stated.

    `model` is empty where the figures are of all models together. `input_tokens` includes cache reads and writes.
    `rounding_usd`: by how much rounding in the source may have moved `cost_usd`.
    """

    day: date
    provider: str
    model: str
    calls: int | None = None
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    rounding_usd: Decimal = Decimal(0)


class OtherCost(NamedTuple):
    """Money that is not for a model's tokens: web search, storage, code execution."""

    day: date
    item: str
    cost_usd: Decimal


@dataclass
class Export:
    """A provider's figures. `days`: those that the export covers, also when nothing was used on them."""

    kind: str
    provider: str
    rows: list[UsageRow] = field(default_factory=list)
    other: list[OtherCost] = field(default_factory=list)
    days: set[date] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # lines that were left out, each with its place and reason


_FIGURES = ("calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens", "cost_usd")


def summed(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """One row per day and model. Rows of zeros are dropped: dashboards list unused models, too."""
    sums: dict[tuple[date, str, str], UsageRow] = {}
    for row in rows:
        old = sums.get(row[:3])
        sums[row[:3]] = row if old is None else add_rows(old, row)
    return [row for _, row in sorted(sums.items()) if any(getattr(row, name) for name in _FIGURES)]


def add_rows(one: UsageRow, other: UsageRow) -> UsageRow:
    """The figures of both; what neither tells stays unknown."""
    sums: dict[str, Any] = {}
    for name in _FIGURES:
        known = [value for row in (one, other) if (value := getattr(row, name)) is not None]
        sums[name] = sum(known[1:], known[0]) if known else None
    return one._replace(**sums, rounding_usd=one.rounding_usd + other.rounding_usd)


class Place(NamedTuple):
    """Where in the file we are, for messages."""

    file: str
    where: str

    def wrong(self, what: str) -> BadRequest:
        return BadRequest(f"{self.file}, {self.where}: {what}")


def shown(value: object) -> str:
    """A value in a message; of a long one its beginning."""
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def read_name(value: object) -> str:
    return texts.whole(str(value)).strip().lower() if value else ""


def read_count(record: Mapping[str, Any], name: str, place: Place) -> int | None:
    """A whole number, which dashboards write as `10.0`; None if it is not there."""
    value = record.get(name)
    if is_nothing(value):
        return None
    number = cells.count(value)
    if number is None or number < 0 or number != number.to_integral_value():
        raise place.wrong(f"{name} is {shown(value)}, not a count")
    return int(number)


def is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in cells.NOTHING)


def read_money(value: object, currency: object, place: Place) -> Decimal:
    if str(currency or "usd").strip().lower() != "usd":
        raise place.wrong(f"amounts are in {str(currency)[:20]}, expected USD")
    number = cells.amount(value)
    if number is None:
        raise place.wrong(f"{shown(value)} is not an amount")
    return number


def total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def read_moment(value: object, place: Place) -> datetime:
    found = cells.moment(value)
    if found is None:
        raise place.wrong(f"{shown(value)} is not a time")
    return found
