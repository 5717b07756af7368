"""Tools, as the books know them: how often each ran, failed, and how long it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spanledger.stats.breakdown import breakdown
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.realtime import Latency
from spanledger.stats.times import ALL_TIME, SECOND, Window, bucket_seconds, format_time, milliseconds
from spanledger.stats.usage import Usage
from spanledger.store import queries
from spanledger.store.client import Store

MAX_ROWS = 10_000


@dataclass(frozen=True)
class ToolRuns:
    """`error_rate` is failed_calls / calls, None without calls."""

    calls: int
    failed_calls: int
    error_rate: float | None
    latency_ms: Latency


@dataclass(frozen=True)
class ToolBucket:
    start: Time
    runs: ToolRuns


@dataclass(frozen=True)
class ToolError:
    error_type: str
    calls: int


@dataclass(frozen=True)
class ToolUser:
    user: OrNull
    calls: int
    failed_calls: int


@dataclass(frozen=True)
class ToolAgent:
    agent: OrNull
    calls: int
    failed_calls: int


@dataclass(frozen=True)
class ToolUsage:
    """`usage` is what models used inside the tool's runs."""

    tool: str
    runs: ToolRuns
    errors: list[ToolError]
    users: list[ToolUser]
    agents: list[ToolAgent]
    buckets: list[ToolBucket]
    usage: Usage


NONE = ToolRuns(0, 0, None, Latency(None, None, None))


def all_tools(store: Store, tenant: str, window: Window = ALL_TIME, agents: Sequence[str] = ()) -> dict[str, ToolRuns]:
    """Every tool that ran, also those of other applications, the most used first."""
    rows = _runs(store, tenant, window, (), agents, 0)
    return {row["tool"]: runs_of(row) for row in rows}


def tool(store: Store, tenant: str, name: str, window: Window = ALL_TIME, bucket: str | None = None) -> ToolUsage:
    """One tool; zeros for one that never ran."""
    whole = _runs(store, tenant, window, [name], (), 0)
    seconds = bucket_seconds(bucket)
    parts = _runs(store, tenant, window, [name], (), seconds) if seconds else []
    errors = store.dicts(queries.sql("tool_errors"), {"tenant": tenant, "tool": name, **_bounds(window)})
    return ToolUsage(
        tool=name,
        runs=runs_of(whole[0]) if whole else NONE,
        errors=[ToolError(**row) for row in errors],
        users=[ToolUser(*row) for row in _by(store, tenant, name, window, "user")],
        agents=[ToolAgent(*row) for row in _by(store, tenant, name, window, "agent")],
        buckets=[ToolBucket(format_time(row["bucket"] * SECOND), runs_of(row)) for row in parts],
        usage=breakdown(store, tenant, window, only={"tool": [name]}).usage,
    )


def runs_of(row: Mapping[str, Any]) -> ToolRuns:
    calls, failed = row["calls"], row["failed_calls"]
    return ToolRuns(calls, failed, failed / calls if calls else None, latency(row["latency_ns"], calls > 0))


def latency(quantiles: Sequence[Any], known: bool) -> Latency:
    """p50, p95, p99 in ns as milliseconds."""
    return Latency(*(milliseconds(int(ns)) if known else None for ns in quantiles))


def _by(
    store: Store, tenant: str, name: str, window: Window, dimension: Literal["user", "agent"]
) -> list[tuple[str, int, int]]:
    found = breakdown(store, tenant, window, group_by=("tool", dimension), only={"tool": [name]}, limit=1000)
    rows = [
        (group[dimension], group["tool_calls"], group["failed_tool_calls"])
        for group in found.groups
        if group["tool_calls"]
    ]
    return sorted(rows, key=lambda row: -row[1])


def _runs(
    store: Store, tenant: str, window: Window, tools: Sequence[str], agents: Sequence[str], bucket_s: int
) -> list[dict[str, Any]]:
    params = {
        "tenant": tenant,
        "only_tool": list(tools),
        "only_agent": list(agents),
        "bucket_s": bucket_s,
        "limit": MAX_ROWS,
        **_bounds(window),
    }
    return store.dicts(queries.sql("tool_runs"), params)


def _bounds(window: Window) -> dict[str, int]:
    bounds = window.bounds()
    return {name: bounds[name] for name in ("first_ns", "last_ns")}
