"""Spans that fit a filter, the latest first, read in the order of time from what was received."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.filters import attribute_matches
from spanledger.stats.times import ALL_TIME, SECOND, Window, format_time, milliseconds
from spanledger.stats.usage import Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

_FIRST_LOOK_NS = 300 * SECOND
_MORE = 8

# Names → the condition on a canonical span (genai_spans); those of what was received stand in `_raw`.
CANONICAL = {
    "trace": "trace_id IN {trace:Array(String)}",
    "span": "span_id IN {span:Array(String)}",
    "role": "role IN {role:Array(String)}",
    "operation": "operation IN {operation:Array(String)}",
    "provider": "provider IN {provider:Array(String)}",
    "model": "if(response_model = '', request_model, response_model)::String IN {model:Array(String)}",
    "status": "status IN {status:Array(String)}",
    "error_type": "error_type IN {error_type:Array(String)}",
    "conversation": "conversation_id IN {conversation:Array(String)}",
    "message": "message_id IN {message:Array(String)}",
    "user": "user_id IN {user:Array(String)}",
    "correlation": "correlation_id IN {correlation:Array(String)}",
    "workflow": "workflow IN {workflow:Array(String)}",
    "agent": "agent IN {agent:Array(String)}",
    "tool": "tool IN {tool:Array(String)}",
    "prompt": "prompt IN {prompt:Array(String)}",
    "prompt_version": "prompt_version IN {prompt_version:Array(String)}",
    "variant": "variant IN {variant:Array(String)}",
    "response": "response_id IN {response:Array(String)}",
}
NAMES = ("service", "name", "scope", *CANONICAL)


@dataclass(frozen=True)
class SpanFilter:
    """What is wanted of spans, by what each says itself (nothing is inherited). See Filter for `attributes`."""

    window: Window = ALL_TIME
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    least_ms: float | None = None
    most_ms: float | None = None


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


def found(store: Store, tenant: str, asked: SpanFilter, limit: int = 50, cursor: str | None = None) -> SpanList:
    """Raises BadRequest for a broken cursor."""
    after = read_place(cursor, (int, str, str)) if cursor else None
    bound = _bound(asked) | {"tenant": tenant}
    where = _raw(asked, bound)
    first, end = asked.window.first_ns, asked.window.last_ns
    if after:
        end = min(end, after[0])
    rows: list[dict[str, Any]] = []
    for begin, stop in _stretches(first, end, whole=bool(asked.equal.get("trace"))):
        rows += _stretch(store, asked, where, bound, begin, stop, limit + 1 - len(rows), after)
        if len(rows) > limit:
            break
    more = len(rows) > limit
    rows = rows[:limit]
    place = [rows[-1][name] for name in ("started_ns", "trace_id", "span_id")] if more else None
    return SpanList(_shown(store, tenant, rows), write_place(place) if place else None)


def _stretches(first: int, last: int, whole: bool) -> Iterator[tuple[int, int]]:
    """Stretches of time from the last moment back, each longer than the one before; what is dated later than tomorrow
    first, at once."""
    first = max(first, 0)
    tomorrow = time.time_ns() + 86_400 * SECOND
    if whole or last <= first:
        yield first, last
        return
    if last > tomorrow:
        yield max(first, tomorrow + 1), last
    end, reach = min(last, tomorrow), _FIRST_LOOK_NS
    if last > tomorrow:
        reach += 86_400 * SECOND
    while end >= first:
        begin = max(first, end - reach + 1)
        yield begin, end
        end, reach = begin - 1, reach * _MORE


def _bound(asked: SpanFilter) -> dict[str, Any]:
    return {name: list(values) for name, values in asked.equal.items()}


def _raw(asked: SpanFilter, bound: dict[str, Any]) -> list[str]:
    columns = {"service": "ServiceName", "name": "SpanName", "scope": "ScopeName"}
    where = [f"{column} IN {{{name}:Array(String)}}" for name, column in columns.items() if name in asked.equal]
    where += ["TraceId IN {trace:Array(String)}"] if "trace" in asked.equal else []
    for number, (key, values) in enumerate(asked.attributes.items()):
        where.append(attribute_matches(values, key, f"attribute_{number}", bound))
    for name, sign, value in (("least_ns", ">=", asked.least_ms), ("most_ns", "<=", asked.most_ms)):
        if value is not None:
            bound[name] = round(value * 1_000_000)
            where.append(f"Duration {sign} {{{name}:Int64}}")
    return where


def _stretch(
    store: Store,
    asked: SpanFilter,
    where: list[str],
    bound: dict[str, Any],
    begin: int,
    end: int,
    limit: int,
    after: tuple[Any, ...] | None,
) -> list[dict[str, Any]]:
    """Matching spans that started in [begin, end], the latest first."""
    bound = bound | {"begin_ns": begin, "end_ns": end, "limit": limit}
    if after:
        bound |= {"after_ns": after[0], "after_trace": after[1], "after_span": after[2]}
        where = [
            *where,
            "(toUnixTimestamp64Nano(Timestamp), TraceId, SpanId) < "
            "({after_ns:Int64}, {after_trace:String}, {after_span:String})",
        ]
    raw = f"""
        SELECT TraceId, SpanId, Timestamp FROM otel_traces
        WHERE Tenant = {{tenant:String}}
            AND Timestamp >= fromUnixTimestamp64Nano({{begin_ns:Int64}}, 'UTC')
            AND Timestamp <= fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
            {"".join(f" AND {condition}" for condition in where)}
    """
    canonical = [condition for name, condition in CANONICAL.items() if name in asked.equal]
    if canonical:
        raw += f"""
            AND (TraceId, SpanId) IN
            (
                SELECT trace_id, span_id FROM genai_spans FINAL
                WHERE tenant = {{tenant:String}} AND started_at >= fromUnixTimestamp64Nano({{begin_ns:Int64}}, 'UTC')
                    AND started_at <= fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
                    AND {" AND ".join(canonical)}
            )
        """
    sql = f"""
        SELECT TraceId AS trace_id, SpanId AS span_id, toUnixTimestamp64Nano(max(Timestamp)) AS started_ns
        FROM ({raw})
        GROUP BY TraceId, SpanId
        ORDER BY started_ns DESC, trace_id DESC, span_id DESC
        LIMIT {{limit:UInt32}}
    """
    return store.dicts(sql, bound)


def _shown(store: Store, tenant: str, rows: Sequence[Mapping[str, Any]]) -> list[ListedSpan]:
    if not rows:
        return []
    of_traces = {"tenant": tenant, "trace_ids": sorted({row["trace_id"] for row in rows})}
    known = store.dicts(queries.sql("trace_spans"), {**of_traces, "limit": 1_000_000})
    by_key = {(row["trace_id"], row["span_id"]): row for row in known}
    sums = store.dicts(queries.sql("trace_usage"), of_traces)
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
