"""The latest spans that match filters of canonical columns.

Spans are ordered by trace, so there are two ways to the latest ones. Frequent matches: read what was received last.
Rare matches: read the filtered columns of the latest spans, then of all, or the granules that an index selects.
Raw spans are ordered by time, so a filter of attributes takes the first way as far as possible.
"""

from collections.abc import Sequence
from typing import Any

from spanledger.stats import received_spans, span_filters
from spanledger.stats.span_filters import SpanFilter
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

_RECEIVED_FOR_EACH = 4  # span that is wanted, in the first look at what was received last
_MAY_NOT_FIT = 10  # of the tellings asked for: a later one says something else
_MORE = 8  # times as many each further time
_MOST = 5_000
_OF_CALLS = ("model", "provider", "workflow", "agent", "tool", "operation")  # fields that calls have as well
_FEWEST_CALLS, _SPANS_FOR_EACH_CALL = 500, 30_000  # of all spans, in the first stretch

_IN_STRETCH = """
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({begin_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')
"""
_RECEIVED = """
    Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano({begin_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')
"""
_AFTER = (
    "(toUnixTimestamp64Nano(started_at), trace_id, span_id)"
    " < ({after_ns:Int64}, {after_trace:String}, {after_span:String})"
)


def found(
    store: Store, criteria: SpanFilter, bound: dict[str, Any], first_ns: int, last_ns: int, limit: int
) -> list[dict[str, Any]]:
    """Keys and starts (`started_ns`) of up to `limit` spans, the latest first. `bound`: the filter's parameters, tenant
    and, behind the first page, the place after which it begins."""
    rows: list[dict[str, Any]] = []
    end = last_ns
    if not criteria.has_ids:
        for look in received_spans.back(store, criteria, bound, first_ns, last_ns, _RECEIVED_FOR_EACH * limit):
            traces = sorted({span.trace_id for span in look.spans})
            rows += _those_that_fit(store, criteria, bound, traces, look.begin_ns, look.end_ns, limit - len(rows))
            end = look.begin_ns - 1
            if len(rows) >= limit:
                return rows
            if traces and not criteria.attributes:
                break
    many = limit + _MAY_NOT_FIT
    for begin, stop in _stretches(store, criteria, bound, first_ns, end, many):
        end = stop
        while end >= begin:
            candidates = _any_telling(store, criteria, bound, begin, end, many)
            since = candidates[-1][1] if len(candidates) >= many else begin
            traces = sorted({trace for trace, _ in candidates})
            rows += _those_that_fit(store, criteria, bound, traces, since, end, limit - len(rows))
            if len(rows) >= limit:
                return rows
            end, many = since - 1, min(many * _MORE, _MOST)
    return rows


def _stretches(
    store: Store, criteria: SpanFilter, bound: dict[str, Any], first_ns: int, last_ns: int, limit: int
) -> list[tuple[int, int]]:
    """The engine reads starts first, and the filtered columns of granules in which a span of the stretch lies. So the
    first stretch is short: it has as many of the latest calls that fit as are wanted, or, where calls do not tell, as
    many calls as lie in a tenth of all granules. The second one has all the rest. An id is in few granules, whatever
    the time."""
    if criteria.has_ids or last_ns < first_ns:
        return [(first_ns, last_ns)]
    of_calls = [f"{name} IN {{{name}:Array(String)}}" for name in _OF_CALLS if name in criteria.equal]
    tenth = f"(SELECT greatest({_FEWEST_CALLS}, intDiv(count(), {_SPANS_FOR_EACH_CALL})) FROM genai_spans)"
    calls = f"""
        SELECT toUnixTimestamp64Nano(started_at) FROM calls_by_time
        WHERE {" AND ".join([_IN_STRETCH, *of_calls])}
        ORDER BY tenant DESC, started_at DESC
        LIMIT 1 OFFSET {limit if of_calls else tenth}
    """
    found = store.query(calls, {**bound, "begin_ns": first_ns, "end_ns": last_ns}, settings=ALONE)
    return [(found[0][0], last_ns), (first_ns, found[0][0] - 1)] if found else [(first_ns, last_ns)]


def _any_telling(
    store: Store, criteria: SpanFilter, bound: dict[str, Any], first: int, end: int, many: int
) -> list[tuple[str, int]]:
    """Traces and starts of spans of which some telling, the last one or an earlier one, fits: the latest `many`, and
    all that start when the last of them does."""
    conditions = " AND ".join([_IN_STRETCH, *span_filters.canonical(criteria), *_after(bound)])
    sql = f"""
        SELECT trace_id, toUnixTimestamp64Nano(started_at) AS started_ns FROM genai_spans
        WHERE {conditions}
        ORDER BY started_at DESC LIMIT {{many:UInt32}} WITH TIES
    """
    rows = store.query(sql, {**bound, "begin_ns": first, "end_ns": end, "many": many})
    return [(trace, start) for trace, start in rows]


def _those_that_fit(
    store: Store, criteria: SpanFilter, bound: dict[str, Any], traces: Sequence[str], begin: int, end: int, limit: int
) -> list[dict[str, Any]]:
    """Spans of these traces, started in [begin, end], that fit by what the books know of them now."""
    if not traces:
        return []
    conditions = [*span_filters.canonical(criteria), *_after(bound)]
    if attributes := span_filters.attributes(criteria):
        received = " AND ".join([_RECEIVED, "TraceId IN {traces:Array(String)}", *attributes])
        conditions.append(f"(trace_id, span_id) IN (SELECT TraceId, SpanId FROM otel_traces WHERE {received})")
    # The conditions stand outside: inside, the engine would read the column of times of whole granules first.
    sql = f"""
        SELECT trace_id, span_id, toUnixTimestamp64Nano(started_at) AS started_ns FROM
        (
            SELECT tenant, trace_id, span_id, started_at, {", ".join(span_filters.columns(criteria))} FROM genai_spans
            WHERE tenant = {{tenant:String}} AND trace_id IN {{traces:Array(String)}}
            ORDER BY tenant, trace_id, span_id, version DESC
            LIMIT 1 BY tenant, trace_id, span_id
        )
        WHERE {" AND ".join([_IN_STRETCH, *conditions])}
        ORDER BY started_ns DESC, trace_id DESC, span_id DESC
        LIMIT {{limit:UInt32}}
    """
    within = {**bound, "traces": list(traces), "begin_ns": begin, "end_ns": end, "limit": limit}
    return store.dicts(sql, within)


def _after(bound: dict[str, Any]) -> list[str]:
    return [_AFTER] if "after_ns" in bound else []
