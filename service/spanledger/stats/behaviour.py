"""Behaviour of users and workflows, and clusters of errors, computed from existing tables."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanledger.stats.breakdown import breakdown
from spanledger.stats.fields import Money, OrNull, Time
from spanledger.stats.times import Window, format_time, milliseconds
from spanledger.store import queries
from spanledger.store.client import Store

NEWEST_RUNS = 2_000  # whose paths are looked at: each lies somewhere else in the ledger
NEWEST_ERRORS = 10_000
TOP_MODELS = 50


@dataclass(frozen=True)
class HourOfWeek:
    """`hour` of the day in UTC, 0 to 23; `weekday` 1 is Monday."""

    hour: int
    weekday: int
    messages: int
    llm_calls: int


@dataclass(frozen=True)
class Cohort:
    """Those whose first message was in the week from `week` on. `returned`: the share of them in each week since."""

    week: str
    users: int
    returned: list[float]


@dataclass(frozen=True)
class ModelShare:
    provider: OrNull
    model: str
    llm_calls: int
    share: float
    cost_usd: Money


@dataclass(frozen=True)
class UserBehaviour:
    """A session is a conversation of a user. `peak_hours`: the three with most messages."""

    users: int
    sessions: int
    messages: int
    failed_messages: int
    messages_per_session: float
    sessions_per_user: float
    peak_hours: list[int]
    hours: list[HourOfWeek]
    retention: list[Cohort]
    models: list[ModelShare]


@dataclass(frozen=True)
class WorkflowPath:
    """What a run did in order: operations of models, names of tools."""

    steps: list[str]
    runs: int
    share: float
    with_failed_steps: int
    mean_ms: float
    example_trace_id: OrNull


@dataclass(frozen=True)
class WorkflowBehaviour:
    workflow: str
    service: OrNull
    runs: int
    failed: int
    failure_share: float
    users: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    models: list[str]
    tools: list[str]
    errors: list[str]
    first_at: Time
    last_at: Time
    paths: list[WorkflowPath]


@dataclass(frozen=True)
class ErrorCluster:
    """Errors of one kind. `pattern`: their message without numbers, ids and quoted words."""

    error_type: str
    failed_in: OrNull
    provider: OrNull
    model: OrNull
    pattern: str
    errors: int
    conversations: int
    users: int
    first_at: Time
    last_at: Time
    example_trace_id: OrNull
    example_message: str


def users(store: Store, tenant: str, window: Window, user_id: str = "") -> UserBehaviour:
    """Of all users, or of one."""
    parameters = {"tenant": tenant, "user_id": user_id, **window.bounds()}
    row = store.dicts(queries.sql("behaviour_user" if user_id else "behaviour_users"), parameters)[0]
    hours = [
        HourOfWeek(found["hour_of_day"], found["weekday"], found["messages"], found["llm_calls"])
        for found in store.dicts(queries.sql("behaviour_hours"), parameters)
    ]
    return UserBehaviour(
        users=row["users"],
        sessions=row["sessions"],
        messages=row["messages"],
        failed_messages=row["failed"],
        messages_per_session=_ratio(row["session_messages"], row["sessions"]),
        sessions_per_user=_ratio(row["sessions"], row["users"]),
        peak_hours=_peaks(hours),
        hours=hours,
        retention=[] if user_id else _retention(store, parameters),
        models=_models(store, tenant, window, user_id),
    )


def workflows(
    store: Store, tenant: str, window: Window, workflow: str = "", limit: int = 100
) -> list[WorkflowBehaviour]:
    """The most used first."""
    parameters = {"tenant": tenant, "workflow": workflow, **window.bounds()}
    rows = store.dicts(queries.sql("behaviour_workflows"), {**parameters, "limit": limit})
    paths = _paths(store.dicts(queries.sql("behaviour_paths"), {**parameters, "newest": NEWEST_RUNS, "limit": 1000}))
    return [
        WorkflowBehaviour(
            workflow=row["name"],
            service=row["of_service"],
            runs=row["runs"],
            failed=row["failed"],
            failure_share=_ratio(row["failed"], row["runs"]),
            users=row["users"],
            p50_ms=milliseconds(int(row["took_ns"][0])),
            p95_ms=milliseconds(int(row["took_ns"][1])),
            p99_ms=milliseconds(int(row["took_ns"][2])),
            models=[model for model in row["all_models"] if model],
            tools=[tool for tool in row["all_tools"] if tool],
            errors=[error for error in row["errors"] if error],
            first_at=format_time(row["first_ns"]),
            last_at=format_time(row["newest_ns"]),
            paths=paths.get(row["name"], [])[:20],
        )
        for row in rows
    ]


def errors(store: Store, tenant: str, window: Window, limit: int = 100) -> list[ErrorCluster]:
    """The commonest first."""
    parameters = {"tenant": tenant, "newest": NEWEST_ERRORS, "limit": limit, **window.bounds()}
    trace_ids = [trace_id for (trace_id,) in store.query(queries.sql("failed_traces"), parameters)]
    if not trace_ids:
        return []
    return [
        ErrorCluster(
            **{name: row[name] for name in ("error_type", "failed_in", "provider", "model", "pattern", "errors")},
            conversations=row["conversations"],
            users=row["users"],
            first_at=format_time(row["first_ns"]),
            last_at=format_time(row["newest_ns"]),
            example_trace_id=row["example_trace_id"],
            example_message=row["example_message"],
        )
        for row in store.dicts(queries.sql("behaviour_errors"), parameters | {"trace_ids": trace_ids})
    ]


def _retention(store: Store, parameters: Mapping[str, Any]) -> list[Cohort]:
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for row in store.dicts(queries.sql("behaviour_retention"), parameters):
        found[row["cohort_week"]][row["weeks_since"]] = row["users"]
    return [
        Cohort(week, by[0], [round(by.get(since, 0) / by[0], 4) for since in range(max(by) + 1)])
        for week, by in sorted(found.items())
    ]


def _models(store: Store, tenant: str, window: Window, user_id: str) -> list[ModelShare]:
    only = {"user": [user_id]} if user_id else None
    found = breakdown(store, tenant, window, ("provider", "model"), only, limit=TOP_MODELS)
    served = [group for group in found.groups if group["usage"].llm_calls]
    return [
        ModelShare(
            provider=group["provider"],
            model=group["model"],
            llm_calls=group["usage"].llm_calls,
            share=_ratio(group["usage"].llm_calls, found.usage.llm_calls),
            cost_usd=group["usage"].cost_usd,
        )
        for group in sorted(served, key=lambda group: -group["usage"].llm_calls)
    ]


def _paths(rows: list[dict[str, Any]]) -> dict[str, list[WorkflowPath]]:
    """By workflow."""
    totals: dict[str, int] = defaultdict(int)
    for row in rows:
        totals[row["workflow"]] += row["runs"]
    found: dict[str, list[WorkflowPath]] = defaultdict(list)
    for row in rows:
        found[row["workflow"]].append(
            WorkflowPath(
                steps=list(row["path"]),
                runs=row["runs"],
                share=_ratio(row["runs"], totals[row["workflow"]]),
                with_failed_steps=row["with_failed_steps"],
                mean_ms=milliseconds(row["mean_ns"]),
                example_trace_id=row["example_trace_id"],
            )
        )
    return found


def _peaks(hours: list[HourOfWeek]) -> list[int]:
    counts: dict[int, int] = defaultdict(int)
    for one in hours:
        counts[one.hour] += one.messages
    return [hour for hour, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]]


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
