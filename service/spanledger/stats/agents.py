"""Performance of an agent: runs, usage, tools, and the trail of its decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanledger.foreign import json_text
from spanledger.stats import tools
from spanledger.stats.breakdown import UsageGroup, breakdown
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.realtime import Latency
from spanledger.stats.times import ALL_TIME, Window, format_time
from spanledger.stats.tools import ToolRuns
from spanledger.stats.usage import Usage
from spanledger.store import queries
from spanledger.store.client import Store

NODES = ("model", "tools", "retrieve")  # of the graphs, where decisions are made
_DECISION = "spanledger.decision."
_LISTS = ("choice", "options")


@dataclass(frozen=True)
class AgentVersion:
    """One version of an agent of this service."""

    version: int
    runs: int
    failures: int
    latency_ms: Latency
    first_run_at: Time
    last_run_at: Time


@dataclass(frozen=True)
class RunError:
    error_type: str
    runs: int


@dataclass(frozen=True)
class AgentPerformance:
    """`runs` are messages. `errors`: the failed ones by type. `versions` is empty for agents of other applications."""

    agent: str
    runs: int
    failures: int
    failure_rate: float | None
    latency_ms: Latency
    conversations: int
    users: int
    errors: list[RunError]
    usage: Usage
    models: list[UsageGroup]
    tools: dict[str, ToolRuns]
    versions: list[AgentVersion]


@dataclass(frozen=True)
class AgentDecision:
    """`choice` out of `options`, for `reason`: a word, never content. `facts`: what else was noted, as texts."""

    at: Time
    trace_id: str
    span_id: str
    conversation_id: OrNull
    message_id: OrNull
    user_id: OrNull
    version: OrNull
    node: OrNull
    kind: OrNull
    choice: list[str]
    options: list[str]
    reason: OrNull
    facts: dict[str, str]


def performance(store: Store, tenant: str, agent: str, window: Window = ALL_TIME) -> AgentPerformance:
    """Zeros for an agent that never ran."""
    params = {"tenant": tenant, "agent": agent, **_bounds(window)}
    whole, *errors = store.dicts(queries.sql("agent_runs"), params)
    by_model = breakdown(store, tenant, window, group_by=("provider", "model"), only={"agent": [agent]}, limit=100)
    runs, failures = whole["runs"], whole["failures"]
    return AgentPerformance(
        agent=agent,
        runs=runs,
        failures=failures,
        failure_rate=failures / runs if runs else None,
        latency_ms=tools.latency(whole["latency_ns"], runs > 0),
        conversations=whole["conversations"],
        users=whole["users"],
        errors=[RunError(row["error_type"], row["failures"]) for row in errors if row["failures"]],
        usage=by_model.usage,
        models=by_model.groups,
        tools=tools.all_tools(store, tenant, window, [agent]),
        versions=[_version(row) for row in store.dicts(queries.sql("agent_versions"), params)],
    )


def decisions(
    store: Store, tenant: str, agent: str, window: Window = ALL_TIME, trace_id: str = "", limit: int = 200
) -> list[AgentDecision]:
    """The latest first."""
    params = {"tenant": tenant, "agent": agent, "nodes": list(NODES), "trace_id": trace_id, "limit": limit}
    return [_decision(row) for row in store.dicts(queries.sql("agent_decisions"), {**params, **_bounds(window)})]


def _version(row: Mapping[str, Any]) -> AgentVersion:
    return AgentVersion(
        version=row["version"],
        runs=row["runs"],
        failures=row["failures"],
        latency_ms=tools.latency(row["latency_ns"], True),
        first_run_at=format_time(row["first_run_ns"]),
        last_run_at=format_time(row["last_run_ns"]),
    )


def _decision(row: Mapping[str, Any]) -> AgentDecision:
    facts = {name.removeprefix(_DECISION): value for name, value in dict(row["facts"]).items()}
    choice, options = (_list(facts.pop(name, "")) for name in _LISTS)
    return AgentDecision(
        at=format_time(row["at_ns"]),
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        user_id=row["user_id"],
        version=row["version"],
        node=row["node"],
        kind=facts.pop("kind", ""),
        choice=choice,
        options=options,
        reason=facts.pop("reason", ""),
        facts=facts,
    )


def _list(text: str) -> list[str]:
    """An array as the store keeps it: JSON."""
    try:
        found = json_text.loads(text)
    except ValueError:
        return [text] if text else []
    return [str(item) for item in found] if isinstance(found, list) else [text]


def _bounds(window: Window) -> dict[str, int]:
    bounds = window.bounds()
    return {name: bounds[name] for name in ("first_ns", "last_ns")}
