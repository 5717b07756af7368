"""Times as the API speaks them (RFC 3339 UTC) and as the store keeps them (nanoseconds since 1970)."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from spanledger.errors import BadRequest

SECOND = 1_000_000_000
BUCKETS = {"minute": 60, "hour": 3600, "day": 86400}
_AGO = re.compile(r"-(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
# A second inside of what 64 bits hold: ClickHouse sends a time to other shards as text and cannot read the first one.
_EARLIEST, _LATEST = -(2**63) + SECOND, 2**63 - 1
_LAST_SECOND = 2**32 - 1  # of a ClickHouse DateTime
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?)?([Zz]|[+-]\d\d:?\d\d)?")


def parse_time(text: str, name: str = "time") -> int:
    """Nanoseconds since 1970 of an RFC 3339 time (`Z`, an offset or none: UTC), a date (its midnight UTC), `now`, or a
    time back from now: `-90s`, `-30m`, `-24h`, `-7d`, `-2w`.

    Raises BadRequest naming `name`.
    """
    if text.strip() == "now":
        return time.time_ns()
    if ago := _AGO.fullmatch(text.strip()):
        return max(0, time.time_ns() - int(ago[1]) * _UNITS[ago[2]] * SECOND)
    # An unescaped + in a query string arrives as a space.
    match = _TIME.fullmatch(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()) if "T" in text else text.strip())
    try:
        if not match:
            raise ValueError
        date, clock, fraction, zone = match.groups()
        offset = "+00:00" if not zone or zone in "Zz" else zone
        instant = datetime.fromisoformat(f"{date}T{clock or '00:00:00'}{offset}")
        nanoseconds = int(instant.timestamp()) * SECOND + int((fraction or "").ljust(9, "0"))
    except (ValueError, OverflowError) as exc:
        raise BadRequest(
            f"{name}={text!r} is not a time; write it like 2026-11-21T07:00:00Z, 2026-11-21 or -24h"
        ) from exc
    if not 0 <= nanoseconds <= _LATEST:
        raise BadRequest(f"{name}={text!r} is out of range; allowed are the years 1970 to 2262")
    return nanoseconds


def format_time(nanoseconds: int) -> str:
    """RFC 3339 UTC with microseconds."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"


def moment(nanoseconds: int | None) -> datetime | None:
    """The same to the microsecond as Python has it; None stays None."""
    if nanoseconds is None:
        return None
    seconds, rest = divmod(nanoseconds, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def milliseconds(nanoseconds: int) -> float:
    """For people: milliseconds to the microsecond."""
    return round(nanoseconds / 1e6, 3)


@dataclass(frozen=True)
class Window:
    """`[start, end)` in nanoseconds since 1970; None is unbounded."""

    start: int | None = None
    end: int | None = None

    @property
    def first_ns(self) -> int:
        """The first moment inside."""
        return _EARLIEST if self.start is None else self.start

    @property
    def last_ns(self) -> int:
        """The last moment inside."""
        return _LATEST if self.end is None else self.end - 1

    def aligned(self, seconds: int) -> bool:
        """Whether both ends fall on multiples of `seconds`, so that whole buckets make up the window."""
        step = seconds * SECOND
        return all(edge is None or edge % step == 0 for edge in (self.start, self.end))

    def split(self, seconds: int) -> dict[str, int]:
        """The window as whole buckets of `seconds` and the rest before and behind them, as parameters of the named
        queries: buckets start in [core_first_s, core_end_s); `has_edges`: whether there is a rest."""
        step = seconds * SECOND
        first = max(self.first_ns, 0)
        core = -(-first // step) * seconds
        end = min(self.last_ns + 1, (_LAST_SECOND // seconds) * step) // step * seconds
        core, end = (core, end) if core <= end else (end, end)
        if core > end or core * SECOND > self.last_ns + 1:
            core = end = first // step * seconds
        return {
            **self.bounds(),
            "core_first_s": core,
            "core_end_s": max(core, end),
            "core_first_ns": core * SECOND,
            "core_end_ns": max(core, end) * SECOND,
            "has_edges": int(not self.aligned(seconds)),
        }

    def split_days(self) -> dict[str, int]:
        """The window as whole days, whole hours beside them and the rest: days as `split` names them, hours start in
        [hours_first_s, hours_end_s); `has_rest`: whether there is a rest."""
        hours = self.split(3600)
        return {
            **self.split(86_400),
            **{f"hours_{edge}": hours[f"core_{edge}"] for edge in ("first_s", "end_s", "first_ns", "end_ns")},
            "has_rest": hours["has_edges"],
        }

    def bounds(self) -> dict[str, int]:
        """The parameters by which the named queries bind a window."""
        return {
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "first_s": min(max(self.first_ns // SECOND, 0), _LAST_SECOND),
            "last_s": min(max(self.last_ns // SECOND, 0), _LAST_SECOND),
        }


ALL_TIME = Window()


NAMES = ("from", "to")
BODY_NAMES = ("start", "end")  # in requests to audit and to re-price


def window(start: str | None, end: str | None, names: tuple[str, str] = NAMES) -> Window:
    """A window from the texts of two parameters, `names`; empty or None is unbounded. Raises BadRequest."""
    since, until = names
    first = parse_time(start, since) if start else None
    last = parse_time(end, until) if end else None
    if first is not None and last is not None and first > last:
        raise BadRequest(f"{since}={start!r} is later than {until}={end!r}; the window is [{since}, {until})")
    return Window(first, last)


def bounded(window: Window, names: tuple[str, str] = NAMES) -> tuple[datetime, datetime]:
    """Start and end of a window that has both. Raises BadRequest."""
    start, end = moment(window.start), moment(window.end)
    if start is None or end is None:
        missing = [name for name, edge in zip(names, (start, end), strict=True) if edge is None]
        raise BadRequest(f"{' and '.join(missing)}: needed here; {' and '.join(names)} bound the window")
    return start, end


def bucket_seconds(bucket: str | None) -> int:
    """Length of a bucket by its name; 0 for none. Raises BadRequest."""
    if not bucket:
        return 0
    if bucket not in BUCKETS:
        raise BadRequest(f"bucket={bucket!r} is unknown; it can be {', '.join(BUCKETS)}")
    return BUCKETS[bucket]
