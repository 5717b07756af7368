"""The last seconds: what ended in them, how long it took, and what is still running."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanledger.stats.fields import Money, Time
from spanledger.stats.times import SECOND, format_time, milliseconds
from spanledger.stats.usage import Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

_LONGEST_CALL_NS = 3600 * SECOND
_ROWS_OF_A_CALL = 8  # at most, before they are merged: it was posted and corrected seven times


@dataclass(frozen=True)
class Latency:
    """Milliseconds from start to end of a call; None without calls."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class Realtime:
    """What ended in the `window` seconds before `at`; `errors` are failed calls and failed tool runs."""

    window: int
    at: Time
    calls: int
    tokens: int
    cost_usd: Money
    errors: int
    latency_ms: Latency
    active_conversations: int
    in_flight_workflows: int
    tool_calls: int
    usage: Usage


def realtime(store: Store, tenant: str, window: int, in_flight: int = 0, now_ns: int | None = None) -> Realtime:
    """`window` in seconds. A call counts when it ended in the window, so a slow one shows when it is known."""
    now = time.time_ns() if now_ns is None else now_ns
    first = now - window * SECOND
    bounds = {"tenant": tenant, "first_ns": first, "last_ns": now}
    row = store.dicts(queries.sql("realtime"), bounds | {"started_first_ns": _reach(store, bounds)})[0]
    usage = usage_of(row)
    known = usage.llm_calls + usage.failed_calls > 0
    quantiles = [milliseconds(int(ns)) if known else None for ns in row["latency_ns"]]
    return Realtime(
        window=window,
        at=format_time(now),
        calls=usage.llm_calls,
        tokens=usage.total_tokens,
        cost_usd=usage.cost_usd,
        errors=usage.failed_calls + row["failed_tool_calls"],
        latency_ms=Latency(*quantiles),
        active_conversations=row["active_conversations"],
        in_flight_workflows=in_flight,
        tool_calls=row["tool_calls"],
        usage=usage,
    )


def _reach(store: Store, bounds: Mapping[str, Any]) -> int:
    """When the first call began that can have ended in the window. Under a load most calls of an hour are much shorter
    than that, and each call that is read has its rows added up."""
    first = int(bounds["first_ns"])
    hour = max(0, first - _LONGEST_CALL_NS)
    longest = store.scalar(queries.sql("realtime_longest"), {**bounds, "started_first_ns": hour})
    return max(hour, first - _ROWS_OF_A_CALL * int(longest or 0))
