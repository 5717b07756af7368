"""What Grafana and its ClickHouse plugin (4.20.0) do to a query before ClickHouse sees it.

In Grafana's browser: variables (`${name:sqlstring}`). In the plugin's backend: comments go, then macros are expanded,
innermost first, outside of quotes; an unknown macro stays as it is (pkg/macros/macros.go).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

Value = str | Sequence[str]


@dataclass(frozen=True)
class Range:
    """`interval_ms`: the width of a bucket that Grafana computed for the panel."""

    start: datetime
    end: datetime
    interval_ms: int = 60_000


class BadMacro(ValueError):
    """A macro with the wrong number of arguments; the plugin answers the panel with an error."""


_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
# quotes of ClickHouse, and comments: a macro name inside the first is text, the second disappear
_SKIPPED = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`|(?P<comment>--[^\n]*|/\*.*?\*/)", re.DOTALL
)
_MACRO = re.compile(r"\$__(\w+)")


def fill(sql: str, variables: Mapping[str, Value]) -> str:
    """Variables by Grafana's `sqlstring` format; a list with the custom "All" value is written as it is.

    Raises KeyError for a variable that the dashboard does not have.
    """

    def one(match: re.Match[str]) -> str:
        name, form = match.groups()
        value = variables[name]
        if form != "sqlstring":
            raise ValueError(f"variable {name} is written without quotes: ${{{name}:sqlstring}} is meant")
        if isinstance(value, str):
            return value if value == "'*'" else _quoted(value)
        return ",".join(_quoted(item) for item in value)

    return _VARIABLE.sub(one, sql)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''").replace('"', '\\"') + "'"


def expand(sql: str, window: Range) -> str:
    """The plugin's macros. Raises BadMacro."""
    sql = _SKIPPED.sub(lambda m: " " if m.group("comment") else m.group(0), sql)
    while True:
        found = _last_macro(sql)
        if found is None:
            return sql.strip()
        start, name = found
        end, arguments = _arguments(sql, start + len("$__") + len(name))
        sql = sql[:start] + _MACROS[name](window, arguments) + sql[end:]


def _last_macro(sql: str) -> tuple[int, str] | None:
    """The last known macro outside of quotes: what stands in the arguments of another comes after it."""
    quoted = [m.span() for m in _SKIPPED.finditer(sql)]
    known = [(m.start(), m.group(1)) for m in _MACRO.finditer(sql) if m.group(1) in _MACROS]
    return next((f for f in reversed(known) if not any(a <= f[0] < b for a, b in quoted)), None)


def _arguments(sql: str, at: int) -> tuple[int, list[str]]:
    """Where the call ends, and its arguments, split at commas outside of brackets."""
    if at >= len(sql) or sql[at] != "(":
        return at, []
    depth, part, parts = 0, at + 1, []
    for place in range(at, len(sql)):
        char = sql[place]
        depth += (char == "(") - (char == ")")
        if (char == "," and depth == 1) or depth == 0:
            parts.append(sql[part:place].strip())
            part = place + 1
        if depth == 0:
            return place + 1, [p for p in parts if p]
    raise BadMacro("a bracket is not closed")


def _seconds(at: datetime) -> str:
    return f"toDateTime({int(at.timestamp())})"


def _millis(at: datetime) -> str:
    return f"fromUnixTimestamp64Milli({round(at.timestamp() * 1000)})"


def _date(at: datetime) -> str:
    return f"toDate('{at:%Y-%m-%d}')"


def _between(write: Callable[[datetime], str]) -> Callable[[Range, list[str]], str]:
    def macro(window: Range, arguments: list[str]) -> str:
        (column,) = _exactly(1, arguments)
        return f"{column} >= {write(window.start)} AND {column} <= {write(window.end)}"

    return macro


def _exactly(count: int, arguments: list[str]) -> list[str]:
    if len(arguments) != count:
        raise BadMacro(f"expected {count} argument(s), received {len(arguments)}")
    return arguments


def _date_time(window: Range, arguments: list[str]) -> str:
    day, time = _exactly(2, arguments)
    return f"({_between(_date)(window, [day])}) AND ({_between(_seconds)(window, [time])})"


def _whole_seconds(window: Range) -> int:
    return max(window.interval_ms // 1000, 1)


_MACROS: dict[str, Callable[[Range, list[str]], str]] = {
    "fromTime": lambda w, a: _seconds(w.start),
    "toTime": lambda w, a: _seconds(w.end),
    "fromTime_ms": lambda w, a: _millis(w.start),
    "toTime_ms": lambda w, a: _millis(w.end),
    "timeFilter": _between(_seconds),
    "timeFilter_ms": _between(_millis),
    "dateFilter": _between(_date),
    "dateTimeFilter": _date_time,
    "dt": _date_time,
    "timeFrom": lambda w, a: f"{_exactly(1, a)[0]} >= {_seconds(w.start)}",
    "timeTo": lambda w, a: f"{_exactly(1, a)[0]} <= {_seconds(w.end)}",
    "timeInterval": lambda w, a: (
        f"toStartOfInterval(toDateTime({_exactly(1, a)[0]}), INTERVAL {_whole_seconds(w)} second)"
    ),
    "timeInterval_ms": lambda w, a: (
        f"toStartOfInterval(toDateTime64({_exactly(1, a)[0]}, 3), INTERVAL {max(w.interval_ms, 1)} millisecond)"
    ),
    "interval_s": lambda w, a: str(_whole_seconds(w)),
}
