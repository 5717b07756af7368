"""Raw spans as OTLP/JSON, so that a copy can be moved to another instance or to a Collector.

The table stores attributes as text, so the export has text, too. The books read both alike.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from spanledger.stats.times import ALL_TIME, Window
from spanledger.store import queries
from spanledger.store.client import Store

_TRACES = 500  # of one request
_STATUS = {"ok": 1, "1": 1, "error": 2, "2": 2}
_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}

Request = dict[str, Any]


def requests(
    store: Store, tenant: str, window: Window = ALL_TIME, after: str = ""
) -> Iterator[tuple[Request, str, int]]:
    """Bodies of export requests with whole traces, the last trace id of each and its number of spans; `after`: the last
    trace of an export that was broken off. Traces count for the window when a span of theirs started in it."""
    bounds = {"tenant": tenant, "first_ns": window.first_ns, "last_ns": window.last_ns}
    while True:
        rows = store.query(queries.sql("trace_ids"), {**bounds, "after": after, "limit": _TRACES})
        ids = [row[0] for row in rows]
        if not ids:
            return
        after = ids[-1]
        spans = store.dicts(queries.sql("raw_spans"), {"tenant": tenant, "trace_ids": ids})
        yield _request(spans), after, len(spans)


def _request(spans: list[dict[str, Any]]) -> Request:
    def resource(span: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(span["resource"].items()))

    def scope(span: dict[str, Any]) -> tuple[str, str]:
        return span["scope"], span["scope_version"]

    ordered = sorted(spans, key=lambda span: (resource(span), scope(span)))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(dict(of_resource))},
                "scopeSpans": [
                    {"scope": {"name": name, "version": version}, "spans": [_span(span) for span in of_scope]}
                    for (name, version), of_scope in groupby(found, key=scope)
                ],
            }
            for of_resource, found in groupby(ordered, key=resource)
        ]
    }


def _span(row: dict[str, Any]) -> dict[str, Any]:
    span = {
        "traceId": row["trace_id"],
        "spanId": row["span_id"],
        "name": row["name"],
        "kind": _KINDS.get(row["kind"].lower().removeprefix("span_kind_"), 0),
        "startTimeUnixNano": str(row["started_ns"]),
        "endTimeUnixNano": str(row["started_ns"] + row["duration_ns"]),
        "attributes": _attributes(row["attributes"]),
        "events": [
            {"timeUnixNano": str(at), "name": name, "attributes": _attributes(values)}
            for at, name, values in zip(row["event_ns"], row["event_names"], row["event_attributes"], strict=True)
        ],
        "links": [
            {"traceId": trace, "spanId": span_id, "traceState": state, "attributes": _attributes(values)}
            for trace, span_id, state, values in zip(
                row["link_traces"], row["link_spans"], row["link_states"], row["link_attributes"], strict=True
            )
        ],
        "status": {
            "code": _STATUS.get(row["status"].lower().removeprefix("status_code_"), 0),
            "message": row["status_message"],
        },
    }
    if row["parent_span_id"]:
        span["parentSpanId"] = row["parent_span_id"]
    if row["trace_state"]:
        span["traceState"] = row["trace_state"]
    return span


def _attributes(values: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in dict(values).items()]
