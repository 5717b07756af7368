"""Spans that fit a filter, the latest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.stats import canonical_spans, received_spans, span_filters
from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.span_filters import SpanFilter
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.usage import Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store


@dataclass(frozen=True)
class ListedSpan:
    """`usage`: what the books count for it; None where it stands for no call."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    started_at: Time
    duration_ms: float
    service: OrNull
    scope: OrNull
    role: OrNull
    operation: OrNull
    provider: OrNull
    model: OrNull
    status: str
    error_type: OrNull
    conversation_id: OrNull
    message_id: OrNull
    user_id: OrNull
    workflow: OrNull
    agent: OrNull
    tool: OrNull
    usage: Usage | None


@dataclass(frozen=True)
class SpanList:
    items: list[ListedSpan]
    next_cursor: str | None


def found(store: Store, tenant: str, criteria: SpanFilter, limit: int = 50, cursor: str | None = None) -> SpanList:
    """Raises BadRequest for a broken cursor."""
    bound = span_filters.bound_of(criteria) | {"tenant": tenant}
    first, last = max(criteria.window.first_ns, 0), criteria.window.last_ns
    if cursor:
        after = read_place(cursor, (int, str, str))
        bound |= dict(zip(("after_ns", "after_trace", "after_span"), after, strict=True))
        last = min(last, after[0])
    of = canonical_spans.found if criteria.is_canonical else _received
    rows = of(store, criteria, bound, first, last, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    place = [rows[-1][name] for name in ("started_ns", "trace_id", "span_id")] if more else None
    return SpanList(_shown(store, tenant, rows), write_place(place) if place else None)


def _received(
    store: Store, criteria: SpanFilter, bound: dict[str, Any], first_ns: int, last_ns: int, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` spans, the latest first, by what was received alone."""
    latest: dict[tuple[str, str], int] = {}  # one that was received several times started when the latest telling says
    for look in received_spans.back(store, criteria, bound, first_ns, last_ns, limit):
        for span in look.spans:
            latest.setdefault((span.trace_id, span.span_id), span.started_ns)
        if len(latest) >= limit:
            break
    rows = [{"trace_id": key[0], "span_id": key[1], "started_ns": start} for key, start in latest.items()]
    return rows[:limit]


def _shown(store: Store, tenant: str, rows: Sequence[Mapping[str, Any]]) -> list[ListedSpan]:
    if not rows:
        return []
    of_traces = {"tenant": tenant, "trace_ids": sorted({row["trace_id"] for row in rows})}
    pending_sums = store.soon(lambda: store.dicts(queries.sql("trace_usage"), of_traces))
    known = store.dicts(queries.sql("trace_spans"), {**of_traces, "limit": 1_000_000})
    by_key = {(row["trace_id"], row["span_id"]): row for row in known}
    sums = pending_sums.result()
    used = {(s["trace_id"], s["span_id"]): usage_of(s) for s in sums if s["llm_calls"] or s["failed_calls"]}
    keys = [(row["trace_id"], row["span_id"]) for row in rows]
    return [_span(by_key[key], used.get(key)) for key in keys if key in by_key]


def _span(row: Mapping[str, Any], usage: Usage | None) -> ListedSpan:
    same = (
        *("trace_id", "span_id", "service", "scope", "role", "operation", "provider", "status", "error_type"),
        *("conversation_id", "message_id", "user_id", "workflow", "agent", "tool"),
    )
    return ListedSpan(
        parent_span_id=row["parent_span_id"] or None,
        name=row["span_name"],
        started_at=format_time(row["started_ns"]),
        duration_ms=milliseconds(row["duration_ns"]),
        model=row["response_model"] or row["request_model"],
        usage=usage,
        **{name: row[name] for name in same},
    )
