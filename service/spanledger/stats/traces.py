"""Traces: every span once, with its attributes, its log records and its cost."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.errors import NotFound
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.usage import Usage, total, usage_of
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.store.threads import threads_for

MAX_SPANS = 20_000
MAX_LOGS = 20_000
MAX_TRACES = 200
MAX_BYTES = 16_000_000  # of what the spans of an answer say, about
LEAST_BYTES = 2_000  # of one span, however many there are


_HEX_ID = re.compile("[0-9a-fA-F]{16}|[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class SpanEvent:
    name: str
    at: Time
    attributes: dict[str, str]


@dataclass(frozen=True)
class SpanLink:
    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Span:
    """`usage` is what the books count for this span: None where it stands for no call.

    `attributes` are as received; the canonical fields beside them are what normalisation read from them. `left_out`:
    bytes of a large span that are not shown here; the span's own address shows them.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: OrNull
    started_at: Time
    duration_ms: float
    status: str
    status_message: OrNull
    service: OrNull
    scope: OrNull
    role: OrNull
    operation: OrNull
    provider: OrNull
    model: OrNull
    agent: OrNull
    tool: OrNull
    error_type: OrNull
    anomalies: list[str]
    attributes: dict[str, str]
    resource: dict[str, str]
    events: list[SpanEvent]
    links: list[SpanLink]
    left_out: int
    usage: Usage | None


@dataclass(frozen=True)
class Log:
    at: Time
    trace_id: OrNull
    span_id: str | None
    severity: OrNull
    service: OrNull
    scope: OrNull
    event_name: OrNull
    body: str
    attributes: dict[str, str]
    left_out: int  # bytes of a large record that are not shown


@dataclass(frozen=True)
class Trace:
    """Spans in time order, parents before children that start with them. `trace_ids` has more than one for a
    correlation or conversation of several traces; `truncated`: more spans, logs or traces than are shown, or spans that
    are not shown in full."""

    trace_id: OrNull
    correlation_id: OrNull
    trace_ids: list[str]
    conversation_id: OrNull
    message_id: OrNull
    user_id: OrNull
    workflow: OrNull
    spans: list[Span]
    logs: list[Log]
    usage: Usage
    truncated: bool


def as_stored(an_id: str) -> str:
    """A trace or span id as the tables hold it, in lower case; other ids as they are."""
    return an_id.lower() if _HEX_ID.fullmatch(an_id) else an_id


def trace(store: Store, tenant: str, trace_id: str) -> Trace:
    """One trace by its id. Raises NotFound."""
    found = _trees(store, tenant, [as_stored(trace_id)])
    if not found.spans and not found.logs:
        raise NotFound(f"there is no trace {trace_id!r}")
    return found


def correlation(store: Store, tenant: str, correlation_id: str) -> Trace:
    """All traces that carry a correlation id, as one. Raises NotFound."""
    ids = _trace_ids(store, "traces_of_correlation", {"tenant": tenant, "correlation_id": correlation_id})
    if not ids:
        raise NotFound(f"there is no trace with correlation id {correlation_id!r}")
    return _trees(store, tenant, ids, correlation_id)


def find(store: Store, tenant: str, any_id: str) -> Trace:
    """By trace id, correlation id, message id or conversation id, in this order. Raises NotFound."""
    if store.query(queries.sql("trace_is_there"), {"tenant": tenant, "trace_id": as_stored(any_id)}):
        return _trees(store, tenant, [as_stored(any_id)])
    ids = _trace_ids(store, "traces_of_correlation", {"tenant": tenant, "correlation_id": any_id})
    if ids:
        return _trees(store, tenant, ids, any_id)
    rows = store.dicts(queries.sql("message"), {"tenant": tenant, "message_id": any_id})
    ids = [row["trace_id"] for row in rows if row["trace_id"]]
    ids = ids or _trace_ids(store, "traces_of_conversation_spans", {"tenant": tenant, "conversation_id": any_id})
    if not ids:
        raise NotFound(f"there is no trace, correlation, message or conversation {any_id!r}")
    return _trees(store, tenant, ids)


def _trace_ids(store: Store, query: str, params: Mapping[str, Any]) -> list[str]:
    return [row[0] for row in store.query(queries.sql(query), {**params, "limit": MAX_TRACES + 1})]


def _trees(store: Store, tenant: str, ids: list[str], correlation_id: str = "") -> Trace:
    truncated = len(ids) > MAX_TRACES
    ids = ids[:MAX_TRACES]
    of_traces = {"tenant": tenant, "trace_ids": ids}
    of_logs = {**of_traces, "span_ids": [], "limit": MAX_LOGS + 1, "most": MAX_BYTES}
    settings = threads_for(ids)
    pending_logs = store.soon(lambda: store.dicts(queries.sql("trace_logs"), of_logs, settings=settings))
    pending_sums = store.soon(lambda: store.dicts(queries.sql("trace_usage"), of_traces, settings=settings))
    rows = store.dicts(queries.sql("trace_spans"), {**of_traces, "limit": MAX_SPANS + 1}, settings=settings)
    raw = _raw(store, of_traces, rows[:MAX_SPANS])
    logs, sums = pending_logs.result(), pending_sums.result()
    parts_left_out = any(one["left_out"] for one in (*raw.values(), *logs))
    used = {(s["trace_id"], s["span_id"]): usage_of(s) for s in sums if s["llm_calls"] or s["failed_calls"]}
    return Trace(
        trace_id=ids[0] if ids else "",
        correlation_id=correlation_id or _first(rows, "correlation_id"),
        trace_ids=ids,
        conversation_id=_first(rows, "conversation_id"),
        message_id=_first(rows, "message_id"),
        user_id=_first(rows, "user_id"),
        workflow=_first(rows, "workflow"),
        spans=[_span(row, raw, used) for row in rows[:MAX_SPANS]],
        logs=[log_of(row) for row in logs[:MAX_LOGS]],
        usage=total(sums),
        truncated=truncated or len(rows) > MAX_SPANS or len(logs) > MAX_LOGS or parts_left_out,
    )


def _raw(
    store: Store, of_traces: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """What was received, by trace and span id."""
    if not rows:
        return {}
    starts = [row["started_ns"] for row in rows]
    wanted = {
        **of_traces,
        "services": sorted({row["service"] for row in rows}),
        "span_names": sorted({row["span_name"] for row in rows}),
        "first_ns": min(starts),
        "last_ns": max(starts),
        "most": max(LEAST_BYTES, MAX_BYTES // len(rows)),
    }
    found = store.dicts(queries.sql("trace_raw"), wanted, settings=threads_for(of_traces["trace_ids"]))
    if large := [row["span_id"] for row in found if row["is_large"]]:
        found += store.dicts(queries.sql("trace_raw_large"), {**wanted, "span_ids": large})
    return {(row["trace_id"], row["span_id"]): row for row in found}


def _span(
    row: Mapping[str, Any],
    raw: Mapping[tuple[str, str], Mapping[str, Any]],
    used: Mapping[tuple[str, str], Usage],
) -> Span:
    key = (row["trace_id"], row["span_id"])
    recorded = raw.get(key, {})
    events = zip(
        recorded.get("event_names", ()), recorded.get("event_ns", ()), recorded.get("event_attributes", ()), strict=True
    )
    links = zip(recorded.get("link_trace_ids", ()), recorded.get("link_span_ids", ()), strict=True)
    return Span(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"] or None,
        name=row["span_name"],
        kind=recorded.get("kind", ""),
        started_at=format_time(row["started_ns"]),
        duration_ms=milliseconds(row["duration_ns"]),
        status=row["status"],
        status_message=recorded.get("status_message", ""),
        service=row["service"],
        scope=row["scope"],
        role=row["role"],
        operation=row["operation"],
        provider=row["provider"],
        model=row["response_model"] or row["request_model"],
        agent=row["agent"],
        tool=row["tool"],
        error_type=row["error_type"],
        anomalies=list(row["anomalies"]),
        attributes=dict(recorded.get("attributes", {})),
        resource=dict(recorded.get("resource", {})),
        events=[SpanEvent(name, format_time(at), dict(attributes)) for name, at, attributes in events],
        links=[SpanLink(trace_id, span_id) for trace_id, span_id in links],
        left_out=recorded.get("left_out", 0),
        usage=used.get(key),
    )


def log_of(row: Mapping[str, Any]) -> Log:
    return Log(
        at=format_time(row["at_ns"]),
        trace_id=row["trace_id"],
        span_id=row["span_id"] or None,
        severity=row["severity"],
        service=row["service"],
        scope=row["scope"],
        event_name=row["event_name"],
        body=row["body"],
        attributes=dict(row["attributes"]),
        left_out=row["left_out"],
    )


def _first(rows: Sequence[Mapping[str, Any]], column: str) -> str:
    """The first value that is not empty, in time order."""
    return next((row[column] for row in rows if row[column]), "")
