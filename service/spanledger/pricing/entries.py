"""From one entry of a price file to a `Price`, or an error that says which entry and what is wrong.

The bundled list and a user's file have the same entries; docs/prices.md describes them.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from spanledger.errors import SettingsError
from spanledger.pricing.price import RATE_NAMES, Price, Sheet, Stated, Window, femto, schedule
from spanledger.pricing.providers import canonical

LINE = "__line__"  # where readers that know it put the line of a mapping
_MILLION = 10**6
_HIGHEST_USD_PER_MILLION = Decimal(1_000_000)
_FIELDS = {"provider", "model", "usd_per_million_tokens", "usd_per_call", "above", "service_tiers", "hours_utc"}
_FIELDS |= {"valid_from", "valid_to", "source", LINE}
_SHEET_FIELDS = {"usd_per_million_tokens", "above", LINE}
_STEP_FIELDS = {"input_tokens", "usd_per_million_tokens", LINE}


class Place(NamedTuple):
    """Where something stands, for error messages."""

    file: str
    path: str
    line: int | None = None

    def at(self, step: str, value: object = None) -> "Place":
        line = value.get(LINE, self.line) if isinstance(value, Mapping) else self.line
        return Place(self.file, f"{self.path}.{step}" if self.path else step, line)

    def wrong(self, what: str) -> SettingsError:
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return SettingsError(f"{where}: {self.path}: {what}")


def identity(entry: object, place: Place) -> tuple[str, str]:
    """(canonical provider, model in lower case): what the entry is found by."""
    mapping = _mapping(entry, place, _FIELDS)
    names = []
    for field in ("provider", "model"):
        name = mapping.get(field)
        if not isinstance(name, str) or not name.strip():
            raise place.wrong(f"`{field}` must be a name")
        names.append(name.strip())
    return canonical(names[0]), names[1].lower()


def price(entry: Mapping[str, Any], place: Place) -> Price:
    provider, model = identity(entry, place)
    ordinary = _sheet(entry, place)
    tiers = _mapping(entry.get("service_tiers") or {}, place.at("service_tiers"))
    sheets = {
        str(name).lower(): _sheet(_mapping(tier, at := place.at(f"service_tiers.{name}", tier), _SHEET_FIELDS), at)
        for name, tier in tiers.items()
        if name != LINE
    }
    call = entry.get("usd_per_call")
    if call is None and not ordinary.flat:
        raise place.wrong("states neither `usd_per_million_tokens` nor `usd_per_call`")
    if not ordinary.flat:  # priced by the call alone
        ordinary = Sheet({"input": 0, "output": 0}, ordinary.above)
    valid_from = _moment(entry.get("valid_from"), place.at("valid_from"))
    valid_to = _moment(entry.get("valid_to"), place.at("valid_to"))
    if valid_from and valid_to and valid_from >= valid_to:
        raise place.wrong(f"`valid_to` {valid_to:%Y-%m-%d} is not after `valid_from` {valid_from:%Y-%m-%d}")
    return Price(
        provider=provider,
        model=model,
        source=str(entry.get("source") or place.file),
        tiers=schedule(ordinary, sheets, 0 if call is None else _femto(call, 1, place.at("usd_per_call"))),
        valid_from=valid_from,
        valid_to=valid_to,
        windows=tuple(_windows(entry.get("hours_utc"), place.at("hours_utc"))),
    )


def _sheet(entry: Mapping[str, Any], place: Place) -> Sheet:
    flat = _stated(entry.get("usd_per_million_tokens"), place.at("usd_per_million_tokens"))
    above: dict[int, Stated] = {}
    for number, step in enumerate(_list(entry.get("above"), place.at("above"))):
        at = place.at(f"above[{number}]", step)
        mapping = _mapping(step, at, _STEP_FIELDS)
        length = mapping.get("input_tokens")
        if not isinstance(length, int) or isinstance(length, bool) or length <= 0:
            raise at.wrong("`input_tokens` must be a whole number above 0")
        if length in above:
            raise at.wrong(f"a second step above {length} input tokens")
        above[length] = _stated(mapping.get("usd_per_million_tokens"), at.at("usd_per_million_tokens"))
    return Sheet(flat, above)


def _stated(rates: object, place: Place) -> Stated:
    if rates is None:
        return {}
    stated = _mapping(rates, place, {*RATE_NAMES, LINE})
    return {name: _femto(rate, _MILLION, place.at(name, rates)) for name, rate in stated.items() if name != LINE}


def _femto(amount: object, per: int, place: Place) -> int:
    if isinstance(amount, bool) or not isinstance(amount, (int, str, Decimal)):
        raise place.wrong(f"{amount!r} is not a number")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        raise place.wrong(f"{amount!r} is not a number") from None
    if not number.is_finite() or not 0 <= number <= _HIGHEST_USD_PER_MILLION:
        raise place.wrong(f"{amount} must be between 0 and {_HIGHEST_USD_PER_MILLION}")
    whole = femto(number)
    if whole is None or whole % per:
        raise place.wrong(f"{amount} has more than {15 - len(str(per)) + 1} decimals")
    return whole // per


def _moment(value: object, place: Place) -> datetime | None:
    """A date (its midnight) or time, in UTC unless it says otherwise."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise place.wrong(f"{value!r} is not a date like 2026-01-31") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise place.wrong(f"{value!r} is not a date like 2026-01-31")


def _windows(value: object, place: Place) -> Iterator[Window]:
    for number, window in enumerate(_list(value, place)):
        at = Place(place.file, f"{place.path}[{number}]", place.line)
        mapping = _mapping(window, at, {"days", "from", "to", LINE})
        days = mapping.get("days", [1, 2, 3, 4, 5, 6, 7])
        if not isinstance(days, list) or not days or not all(day in range(1, 8) for day in days):
            raise at.wrong("`days` must list weekdays as numbers, 1 = Monday to 7 = Sunday")
        yield Window(
            frozenset(days), _clock(mapping.get("from"), at.at("from")), _clock(mapping.get("to"), at.at("to"))
        )


def _clock(value: object, place: Place) -> time:
    try:
        return time.fromisoformat(value) if isinstance(value, str) else time.fromisoformat("")
    except ValueError:
        raise place.wrong(f'{value!r} is not a time of day like "16:30" (in quotes)') from None


def _mapping(value: object, place: Place, allowed: set[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise place.wrong(f"must be a mapping of names to values, not {value!r}")
    for name in value:
        if not isinstance(name, str):
            raise place.at(str(name), value).wrong("names must be text: put it in quotes")
        if allowed is not None and name not in allowed:
            known = ", ".join(sorted(allowed - {LINE}))
            raise place.at(name, value).wrong(f"unknown name; known are {known}")
    return value


def _list(value: object, place: Place) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise place.wrong(f"must be a list, not {value!r}")
    return value
