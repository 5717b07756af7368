"""Tools, as the books know them: how often each ran, failed, and how long it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.stats.breakdown import breakdown
from spanledger.stats.realtime import Latency
from spanledger.stats.times import ALL_TIME, SECOND, Window, bucket_seconds, format_time, milliseconds
from spanledger.stats.usage import Usage
from spanledger.store import queries
from spanledger.store.client import Store

MAX_ROWS = 10_000


@dataclass(frozen=True)
class Runs:
    """`error_rate` is failed_calls / calls, None without calls."""

    calls: int
    failed_calls: int
    error_rate: float | None
    latency_ms: Latency


@dataclass(frozen=True)
class Bucket:
    start: str
    runs: Runs


@dataclass(frozen=True)
class ToolUsage:
    """`usage` is what models used inside the tool's runs."""

    tool: str
    runs: Runs
    errors: list[dict[str, Any]]
    users: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    buckets: list[Bucket]
    usage: Usage


NONE = Runs(0, 0, None, Latency(None, None, None))


def all_tools(store: Store, tenant: str, window: Window = ALL_TIME, agents: Sequence[str] = ()) -> dict[str, Runs]:
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
        errors=errors,
        users=_by(store, tenant, name, window, "user"),
        agents=_by(store, tenant, name, window, "agent"),
        buckets=[Bucket(format_time(row["bucket"] * SECOND), runs_of(row)) for row in parts],
        usage=breakdown(store, tenant, window, only={"tool": [name]}).usage,
    )


def runs_of(row: Mapping[str, Any]) -> Runs:
    calls, failed = row["calls"], row["failed_calls"]
    return Runs(calls, failed, failed / calls if calls else None, latency(row["latency_ns"], calls > 0))


def latency(quantiles: Sequence[Any], known: bool) -> Latency:
    """p50, p95, p99 in ns as milliseconds."""
    return Latency(*(milliseconds(int(ns)) if known else None for ns in quantiles))


def _by(store: Store, tenant: str, name: str, window: Window, dimension: str) -> list[dict[str, Any]]:
    found = breakdown(store, tenant, window, group_by=("tool", dimension), only={"tool": [name]}, limit=1000)
    rows = [
        {dimension: group[dimension], "calls": group["tool_calls"], "failed_calls": group["failed_tool_calls"]}
        for group in found.groups
        if group["tool_calls"]
    ]
    return sorted(rows, key=lambda row: -row["calls"])


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
