"""Received spans from the latest back: otel_traces lies in the order of time, so each look reads one stretch of it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from spanledger.stats import span_filters
from spanledger.stats.span_filters import SpanFilter
from spanledger.stats.times import SECOND
from spanledger.store.client import Store

_FIRST_LOOK_NS = 300 * SECOND
_MORE = 8
_MOST = 100_000  # spans of a look


class Received(NamedTuple):
    """A span as it was received once; it may be received several times."""

    trace_id: str
    span_id: str
    started_ns: int


class Look(NamedTuple):
    """All spans that fit and started in [begin_ns, end_ns], the latest first."""

    spans: list[Received]
    begin_ns: int
    end_ns: int


def back(
    store: Store, criteria: SpanFilter, bound: Mapping[str, Any], first_ns: int, last_ns: int, size: int
) -> Iterator[Look]:
    """Looks further and further back, the first at about `size` spans, each later one at up to eight times as many."""
    where = span_filters.received(criteria)
    if "after_ns" in bound:
        where.append(
            "(toUnixTimestamp64Nano(Timestamp), TraceId, SpanId) < "
            "({after_ns:Int64}, {after_trace:String}, {after_span:String})"
        )
    sql = f"""
        SELECT TraceId, SpanId, toUnixTimestamp64Nano(Timestamp) FROM otel_traces
        WHERE Tenant = {{tenant:String}}
            AND Timestamp >= fromUnixTimestamp64Nano({{begin_ns:Int64}}, 'UTC')
            AND Timestamp <= fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
            {"".join(f" AND {condition}" for condition in where)}
        ORDER BY Timestamp DESC
        LIMIT {{size:UInt32}} WITH TIES
    """
    for begin, stop in _stretches(first_ns, last_ns):
        end = stop
        while end >= begin:
            rows = store.query(sql, {**bound, "begin_ns": begin, "end_ns": end, "size": size})
            spans = sorted(map(Received._make, rows), key=lambda one: (one[2], one[0], one[1]), reverse=True)
            since = spans[-1].started_ns if len(spans) >= size else begin
            yield Look(spans, since, end)
            end = since - 1
            size = min(size * _MORE, _MOST) if spans else size


def _stretches(first_ns: int, last_ns: int) -> Iterator[tuple[int, int]]:
    """Stretches of time from the last moment back, each longer than the one before; the first has all that is dated
    later than now."""
    now = time.time_ns()
    end, reach = last_ns, _FIRST_LOOK_NS
    while end >= first_ns:
        begin = max(first_ns, min(end, now) - reach + 1)
        yield begin, end
        end, reach = begin - 1, reach * _MORE
