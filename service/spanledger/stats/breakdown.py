"""Usage of any window, broken down by any dimension, filtered by any dimension, cut into buckets of time."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Required, cast

from typing_extensions import TypedDict

from spanledger.errors import BadRequest
from spanledger.stats import zones
from spanledger.stats.fields import Time
from spanledger.stats.times import ALL_TIME, SECOND, Window, bucket_seconds, format_time
from spanledger.stats.usage import NONE, UNCOVERED, Coverage, Usage, coverage_of, usage_of
from spanledger.stats.usage import total as sum_of
from spanledger.store import queries
from spanledger.store.client import Store

DIMENSIONS = (
    "provider",
    "model",
    "user",
    "conversation",
    "workflow",
    "agent",
    "tool",
    "prompt",
    "variant",
    "operation",
    "service",
    "tenant",
    "status",
)
MAX_GROUPS = 100_000
MAX_BUCKETS = 100_000
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class UsageBucket:
    """`start` is its first moment; buckets without usage are not listed."""

    start: Time
    usage: Usage


@dataclass(frozen=True)
class UserUsage:
    user_id: str
    usage: Usage
    buckets: list[UsageBucket]


class UsageGroup(TypedDict, total=False):
    """The requested dimensions as texts (empty: calls without one), and the usage of their calls. `buckets`: the same
    over time, of as many groups as `series` names."""

    provider: str
    model: str
    user: str
    conversation: str
    workflow: str
    agent: str
    tool: str
    prompt: str
    variant: str
    operation: str
    service: str
    tenant: str
    status: str
    tool_calls: int
    failed_tool_calls: int
    buckets: list[UsageBucket]
    usage: Required[Usage]


@dataclass(frozen=True)
class Breakdown:
    """`groups` hold a text per requested dimension and `usage`, dearest first; broken down by tool also `tool_calls`
    and `failed_tool_calls`.

    `truncated`: there are more groups than `limit`; `usage` is the total of all of them, `other` that of the groups
    behind the `top` ones. `previous`: the same for the window of equal length before this one, if requested.
    `coverage`: how the cost of all calls is known.
    """

    usage: Usage
    groups: list[UsageGroup]
    buckets: list[UsageBucket]
    truncated: bool
    other: Usage | None = None
    previous: "PreviousUsage | None" = None
    coverage: Coverage = UNCOVERED


@dataclass(frozen=True)
class PreviousUsage:
    """What the window before came to."""

    start: Time
    end: Time
    usage: Usage
    groups: list[UsageGroup]
    buckets: list[UsageBucket]


@dataclass(frozen=True)
class _Source:
    """A table that can answer, the dimensions it keeps and the length in seconds of its finest bucket; what a window
    has beside whole buckets is read from calls_by_time. `names`: of table and column, where the query is of several."""

    query: str
    dimensions: frozenset[str]
    grain: int
    names: tuple[tuple[str, str], ...] = ()


# The cheapest table that can give the exact answer comes first; calls_by_time always can.
_LOW = frozenset(DIMENSIONS) - {"user", "conversation"}
_MANY = {"user", "conversation"}  # of which there are so many that only the listed ones are cut into buckets
_USER_DAYS = _Source("usage_from_user_days", frozenset({"user", "tenant"}), 86_400)
_SOURCES = (
    _Source("usage_from_buckets", _LOW, 3600, (("rollup", "usage_1h"), ("begin", "hour"))),
    _Source("usage_from_user_hours", frozenset({"user", "tenant"}), 3600),
    _Source("usage_from_buckets", _LOW, 60, (("rollup", "usage_1m"), ("begin", "minute"))),
    _Source("usage_from_calls", frozenset(DIMENSIONS), 1),
)
_CONVERSATIONS = _Source("usage_from_conversations", frozenset({"conversation", "user", "tenant"}), 1)


def breakdown(
    store: Store,
    tenant: str,
    window: Window = ALL_TIME,
    group_by: Sequence[str] = (),
    only: Mapping[str, Sequence[str]] | None = None,
    bucket: str | None = None,
    limit: int = 10_000,
    tz: str = "UTC",
    top: int | None = None,
    series: int = 0,
) -> Breakdown:
    """Exact usage of the calls that started in `window`. `only`: dimension → allowed values; `top`: how many groups by
    themselves, all others together; `series`: how many groups with their own buckets. Days, weeks and months are those
    of the time zone `tz`.

    Raises BadRequest for an unknown dimension, bucket or zone.
    """
    filters = dict(only or {})
    _check(group_by, filters)
    place = zones.zone(tz)
    folds = zones.needs_folding(bucket, place)
    seconds = bucket_seconds(zones.grain(place, time.time_ns() // SECOND) if folds else bucket)
    limit = MAX_GROUPS if top is not None else limit
    shown = limit if top is None else top
    filtered = [name for name, values in filters.items() if values]
    source = _source(window, {*group_by, *filters}, seconds, bool(filters.get("user")))
    with_series = bool(seconds and series and group_by)
    at_once = with_series and not (_MANY & {*group_by} - {*filtered})
    parameters = {
        "tenant": tenant,
        "bucket_s": seconds,
        "with_tools": int("tool" in group_by or "tool" in filters),
        "limit": max(limit + 1, _most_buckets(window, seconds, folds, min(series, shown) if at_once else 1)),
        **{f"only_{name}": list(filters[name]) for name in filtered},
        **(window.split_days() if source is _USER_DAYS else window.split(source.grain)),
        **dict(source.names),
    }
    rows = store.dicts(queries.narrowed(source.query, queries.marks(group_by, filtered, at_once)), parameters)
    total = [row for row in rows if row["level"] == "total"]
    groups = [row for row in rows if group_by and row["level"] == "group"]
    in_buckets = partial(_folded, start_of=zones.start_of(str(bucket), place)) if folds else _buckets
    listed = [_group(row, group_by) for row in groups[:shown]]
    if with_series and listed:
        drawn = listed[:series]
        over_time = rows
        if not at_once:
            values = {f"only_{name}": list({_key(group, "", [name])[0] for group in drawn}) for name in group_by}
            statement = queries.narrowed(source.query, queries.marks(group_by, {*filtered, *group_by}, True))
            over_time = store.dicts(statement, parameters | values | {"limit": MAX_BUCKETS})
        for group, found in zip(drawn, _series(over_time, drawn, group_by), strict=True):
            group["buckets"] = in_buckets(found)
    return Breakdown(
        usage=usage_of(total[0]) if total else NONE,
        groups=listed,
        buckets=in_buckets([row for row in rows if seconds and row["level"] == "bucket"]),
        truncated=len(groups) > limit,
        other=sum_of(groups[shown:]) if top is not None else None,
        coverage=coverage_of(total[0]) if total else UNCOVERED,
    )


def _most_buckets(window: Window, seconds: int, folds: bool, groups: int) -> int:
    """How many rows the buckets of so many seconds of a window are at most, as far as they are listed, for so many
    groups. `folds`: several of them become one."""
    if not seconds:
        return 0
    held = (window.last_ns - window.first_ns) // (seconds * SECOND) + 2
    return min(held * groups, MAX_BUCKETS * (10 if folds else 1))


def _series(rows: Rows, groups: Sequence[UsageGroup], group_by: Sequence[str]) -> list[Rows]:
    """The rows of each group over time."""
    found: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        if row["level"] == "series":
            found[_key(row, "by_", group_by)].append(row)
    return [found[_key(group, "", group_by)] for group in groups]


def _key(row: Mapping[str, Any], prefix: str, group_by: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[prefix + name] for name in group_by)


def with_previous(store: Store, tenant: str, window: Window, series: int = 0, **options: Any) -> Breakdown:
    """A breakdown with the same of the window of equal length before, without its series; both are read at the same
    time. Raises BadRequest, also for a window without a start."""
    if window.start is None:
        raise BadRequest("compare=previous needs from; the window before it is as long")
    end = window.end if window.end is not None else time.time_ns()
    earlier = Window(max(0, 2 * window.start - end), window.start)
    reading = store.soon(lambda: breakdown(store, tenant, earlier, **options))
    found = breakdown(store, tenant, window, series=series, **options)
    before = reading.result()
    start, stop = format_time(earlier.first_ns), format_time(earlier.last_ns + 1)
    return replace(found, previous=PreviousUsage(start, stop, before.usage, before.groups, before.buckets))


def _buckets(rows: Sequence[Mapping[str, Any]]) -> list[UsageBucket]:
    ordered = sorted(rows, key=lambda row: int(row["bucket"]))
    return [UsageBucket(format_time(row["bucket"] * SECOND), usage_of(row)) for row in ordered]


def _folded(rows: Sequence[Mapping[str, Any]], start_of: Callable[[int], int]) -> list[UsageBucket]:
    """Hours added up to days, weeks or months of a time zone."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(start_of(row["bucket"]), []).append(row)
    return [UsageBucket(format_time(start * SECOND), sum_of(parts)) for start, parts in sorted(found.items())]


def user_usage(store: Store, tenant: str, user_id: str, window: Window, bucket: str) -> UserUsage:
    """Usage of one user; zeros for an unknown user."""
    found = breakdown(store, tenant, window, only={"user": [user_id]}, bucket=bucket)
    return UserUsage(user_id, found.usage, found.buckets)


def _source(window: Window, dimensions: set[str], bucket: int, of_one: bool) -> _Source:
    """`of_one`: of named users, whose hours lie together; the days of all users do."""
    if window == ALL_TIME and not bucket and "conversation" in dimensions <= _CONVERSATIONS.dimensions:
        return _CONVERSATIONS
    if not of_one and "user" in dimensions <= _USER_DAYS.dimensions and bucket % _USER_DAYS.grain == 0:
        return _USER_DAYS
    return next(s for s in _SOURCES if dimensions <= s.dimensions and bucket % s.grain == 0)


def _check(group_by: Sequence[str], only: Mapping[str, Sequence[str]]) -> None:
    for name in (*group_by, *only):
        if name not in DIMENSIONS:
            raise BadRequest(f"group_by: {name!r} is not a dimension; these are: {', '.join(DIMENSIONS)}")


def _group(row: Mapping[str, Any], group_by: Sequence[str]) -> UsageGroup:
    group: dict[str, Any] = {**{name: row[f"by_{name}"] for name in group_by}, "usage": usage_of(row)}
    if "tool" in group_by:
        group |= {name: row[name] for name in ("tool_calls", "failed_tool_calls")}
    return cast(UsageGroup, group)
