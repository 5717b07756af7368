"""The last seconds: what ended in them, how long it took, and what is still running."""

import time
from dataclasses import dataclass

from spanledger.stats.fields import Money, Time
from spanledger.stats.times import SECOND, format_time, milliseconds
from spanledger.stats.usage import Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

_LONGEST_CALL_NS = 3600 * SECOND


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
    row = store.dicts(
        queries.sql("realtime"),
        {
            "tenant": tenant,
            "first_ns": first,
            "last_ns": now,
            "started_first_ns": max(0, first - _LONGEST_CALL_NS),
        },
    )[0]
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
