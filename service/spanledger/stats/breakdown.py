"""Usage of any window, broken down by any dimension, filtered by any dimension, cut into buckets of time."""

import time
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
    source = _source(window, {*group_by, *filters}, seconds, bool(filters.get("user")))
    parameters = {
        "tenant": tenant,
        "group_by": list(group_by),
        "bucket_s": seconds,
        "with_tools": int("tool" in group_by or "tool" in filters),
        "limit": max(limit + 1, MAX_BUCKETS * (10 if folds else 1) if seconds else 0),
        **{f"only_{name}": list(filters.get(name, ())) for name in source.dimensions},
        **window.split(source.grain),
        **dict(source.names),
    }
    sql = queries.narrowed(source.query, frozenset({*group_by, *filters}))
    rows = store.dicts(sql, parameters)
    total = [row for row in rows if row["level"] == "total"]
    groups = [row for row in rows if group_by and row["level"] == "group"]
    shown = limit if top is None else top
    in_buckets = partial(_folded, start_of=zones.start_of(str(bucket), place)) if folds else _buckets
    listed = [_group(row, group_by) for row in groups[:shown]]
    if seconds and series and listed:
        drawn = listed[:series]
        found = store.dicts(sql, parameters | _series(drawn, group_by))
        for group in drawn:
            key = [group[name] for name in group_by]  # type: ignore[literal-required]
            of_group = [row for row in found if row["level"] == "group" and [row[f"by_{n}"] for n in group_by] == key]
            group["buckets"] = in_buckets([{**row, "bucket": row["by_bucket"]} for row in of_group])
    return Breakdown(
        usage=usage_of(total[0]) if total else NONE,
        groups=listed,
        buckets=in_buckets([row for row in rows if seconds and row["level"] == "bucket"]),
        truncated=len(groups) > limit,
        other=sum_of(groups[shown:]) if top is not None else None,
        coverage=coverage_of(total[0]) if total else UNCOVERED,
    )


def _series(groups: Sequence[UsageGroup], group_by: Sequence[str]) -> dict[str, Any]:
    """Parameters that ask for each of these groups bucket by bucket."""
    named = {name: list({group[name] for group in groups}) for name in group_by}  # type: ignore[literal-required]
    return {
        "group_by": [*group_by, "bucket"],
        "limit": MAX_BUCKETS,
        **{f"only_{name}": values for name, values in named.items()},
    }


def with_previous(store: Store, tenant: str, window: Window, found: Breakdown, **options: Any) -> Breakdown:
    """`found` with the same of the window of equal length before. Raises BadRequest for a window without a start."""
    if window.start is None:
        raise BadRequest("compare=previous needs from; the window before it is as long")
    end = window.end if window.end is not None else time.time_ns()
    earlier = Window(max(0, 2 * window.start - end), window.start)
    before = breakdown(store, tenant, earlier, **options)
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
            raise BadRequest(f"{name!r} is not a dimension; these are: {', '.join(DIMENSIONS)}")


def _group(row: Mapping[str, Any], group_by: Sequence[str]) -> UsageGroup:
    group: dict[str, Any] = {**{name: row[f"by_{name}"] for name in group_by}, "usage": usage_of(row)}
    if "tool" in group_by:
        group |= {name: row[name] for name in ("tool_calls", "failed_tool_calls")}
    return cast(UsageGroup, group)
