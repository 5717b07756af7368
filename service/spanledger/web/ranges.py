"""The time range of a page, from its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spanledger.errors import BadRequest
from spanledger.stats.times import parse_time

CHOICES = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
NAMES = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "all": "all time"}
_STEPS = {"1h": timedelta(minutes=1), "24h": timedelta(hours=1), "7d": timedelta(hours=1), "30d": timedelta(days=1)}


@dataclass(frozen=True)
class Range:
    """`[start, end)`; both None for all time. `name` is a choice, or empty where the address says from and to."""

    name: str
    start: datetime | None
    end: datetime | None

    @property
    def label(self) -> str:
        if self.name:
            return NAMES[self.name]
        edges = (f"{edge:%Y-%m-%d %H:%M}" if edge else "…" for edge in (self.start, self.end))
        return " – ".join(edges) + " UTC"

    @property
    def window(self) -> dict[str, str]:
        """As parameters of the API."""
        edges = {"from": self.start, "to": self.end}
        return {name: _format(edge) for name, edge in edges.items() if edge is not None}

    @property
    def address(self) -> dict[str, str]:
        """As parameters of a page."""
        return {"range": self.name} if self.name else self.window

    @property
    def before(self) -> "Range | None":
        """The range of the same length just before; None for an open one."""
        if self.start is None or self.end is None:
            return None
        return Range("", self.start - (self.end - self.start), self.start)

    @property
    def bucket(self) -> str:
        if self.start is None or self.end is None:
            return "day"
        length = self.end - self.start
        return "minute" if length <= timedelta(hours=3) else "hour" if length <= timedelta(days=4) else "day"


def range_of(query: Mapping[str, str], default: str = "24h", now: datetime | None = None) -> Range:
    """From `range=24h` or `from=…&to=…`. Ends fall on whole steps, so that rollups can answer. Raises BadRequest."""
    if query.get("from") or query.get("to"):
        return Range("", _read(query.get("from"), "from"), _read(query.get("to"), "to"))
    name = query.get("range") or default
    if name == "all":
        return Range(name, None, None)
    if name not in CHOICES:
        raise BadRequest(f"range={name!r} is unknown; it can be {', '.join([*CHOICES, 'all'])}")
    step, current = _STEPS[name], now or datetime.now(UTC)
    seconds = step.total_seconds()
    end = datetime.fromtimestamp((current.timestamp() // seconds + 1) * seconds, UTC)
    return Range(name, end - CHOICES[name], end)


def _read(text: str | None, name: str) -> datetime | None:
    if not text:
        return None
    return datetime.fromtimestamp(parse_time(text, name) / 1e9, UTC)


def _format(edge: datetime) -> str:
    return edge.isoformat().replace("+00:00", "Z")
