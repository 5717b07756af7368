"""Formats values for pages: money, counts, durations, times. `data-value` holds the exact value beside them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from markupsafe import Markup, escape

_DIGITS = 4  # of an amount below one dollar
_UNITS_MS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


def text(value: Any) -> str:
    """A value as the API's JSON has it, texts without their quotes."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def money(value: Any) -> str:
    """USD: cents from a dollar on, four digits below it. Never rounds something to nothing."""
    if value is None:
        return "unknown"
    amount = Decimal(str(value))
    sign, size = ("−" if amount < 0 else ""), abs(amount)
    if size == 0:
        return "$0"
    if size >= 1:
        return f"{sign}${size.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}"
    places = min(-size.adjusted() + _DIGITS - 1, 15)
    shown = f"{size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):f}"
    whole, _, rest = shown.partition(".")
    return f"{sign}${whole}.{rest.rstrip('0').ljust(2, '0')}"


def cost(usage: dict[str, Any]) -> str:
    """The cost of a usage as text. An unknown cost is not $0; a sum of priced calls only is marked."""
    if usage["cost_state"] == "unpriced":
        return "unpriced"
    known = money(usage["cost_usd"])
    return known if usage["priced_share"] >= 1 else f"≥ {known}"


def count(value: Any) -> str:
    """A whole number with its thousands set apart."""
    return "—" if value is None else f"{int(value):,}".replace(",", "\u202f")


def measure(value: Any) -> str:
    """A number that may have a fraction, to four digits."""
    if value is None:
        return "—"
    size = float(value)
    return count(round(size)) if abs(size) >= 1000 or size == int(size) else f"{size:.4g}"


def share(value: Any) -> str:
    """A share of 1 as per cent."""
    if value is None:
        return "—"
    percent = Decimal(str(value)) * 100
    if percent == percent.to_integral():
        return f"{count(percent)} %"
    for digits in (0, 1) if percent >= 10 else (1,):
        rounded = round(percent, digits)
        if rounded and rounded != 100:  # neither all nor nothing
            return f"{count(rounded)} %" if digits == 0 else f"{rounded} %"
    return "< 0.1 %" if percent < 1 else "> 99.9 %" if percent < 100 else "> 100 %"


def duration(milliseconds: Any) -> str:
    """`412 ms`, `1.24 s`, `3.4 min`."""
    if milliseconds is None:
        return "—"
    size = float(milliseconds)
    if 0 < size < 1:
        return f"{size * 1000:.0f} µs"
    factor, unit = next(((f, u) for f, u in _UNITS_MS if size >= f), (1, "ms"))
    scaled = size / factor
    return f"{scaled:.0f} {unit}" if unit == "ms" or scaled >= 100 else f"{scaled:.3g} {unit}"


def size(number: Any) -> str:
    """Bytes or characters."""
    amount = float(number)
    for unit in ("", "k", "M", "G"):
        if amount < 1000 or unit == "G":
            return f"{amount:.3g} {unit}".strip()
        amount /= 1000
    return str(number)


def moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC) if value else None


def clock(value: str | None, now: datetime | None = None) -> str:
    """UTC, as short as its distance from now allows."""
    at = moment(value)
    if at is None:
        return "—"
    today = (now or datetime.now(UTC)).date()
    if at.date() == today:
        return f"{at:%H:%M:%S}"
    day = f"{at.day} {at:%b}" if at.year == today.year else f"{at.day} {at:%b %Y}"
    return f"{day} {at:%H:%M}"


def day(value: str | None, now: datetime | None = None) -> str:
    """A day, UTC, where the time of day is not known."""
    at = moment(value)
    if at is None:
        return "—"
    today = (now or datetime.now(UTC)).date()
    if at.date() == today:
        return "today"
    return f"{at.day} {at:%b}" if at.year == today.year else f"{at.day} {at:%b %Y}"


def switch(value: Any) -> Any:
    """A setting as people read it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and value == int(value):
        return int(value)
    return "—" if value in ("", None, ()) else value


def ago(value: str | None, now: datetime | None = None) -> str:
    at = moment(value)
    if at is None:
        return "never"
    passed = (now or datetime.now(UTC)) - at
    return "just now" if passed < timedelta(seconds=2) else f"{duration(passed.total_seconds() * 1000)} ago"


def change(now: Any, before: Any) -> str:
    """`+12 %` against the period before; empty where there is nothing to compare with."""
    new, old = Decimal(str(now or 0)), Decimal(str(before or 0))
    if not old:
        return "new" if new else ""
    percent = (new - old) / old * 100
    if abs(percent) < Decimal("0.5"):
        return "±0 %"
    return f"{'−' if percent < 0 else '+'}{count(round(abs(percent)))} %"


def shorten(value: str | None, most: int = 24) -> str:
    """Long ids and names keep both ends; none is empty."""
    if value is None or len(value) <= most:
        return value or ""
    head = (most - 1) * 2 // 3
    return f"{value[:head]}…{value[-(most - 1 - head) :]}"


def names(values: Sequence[str], most: int = 6) -> str:
    """The first names of a list, long ones shortened, and how many more there are."""
    more = f" +{len(values) - most}" if len(values) > most else ""
    return ", ".join(shorten(value, 36) for value in values[:most]) + more


def breakable(value: str) -> Markup:
    """A name that may be broken behind its underscores and dots."""
    return Markup(escape(value).replace("_", Markup("_<wbr>")).replace(".", Markup(".<wbr>")))


def pretty(value: str) -> str:
    """JSON inside a text with its lines broken; other texts as they are."""
    if value[:1] in "[{" and len(value) < 200_000:
        try:
            return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return value
    return value


FILTERS = {
    "breakable": breakable,
    "text": text,
    "money": money,
    "cost": cost,
    "count": count,
    "measure": measure,
    "share": share,
    "duration": duration,
    "size": size,
    "clock": clock,
    "day": day,
    "switch": switch,
    "ago": ago,
    "shorten": shorten,
    "names": names,
    "pretty": pretty,
}
