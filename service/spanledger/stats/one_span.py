"""One span in full: attributes, events, links and the log records of the span."""

from dataclasses import dataclass
from typing import Any

from spanledger.errors import NotFound
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.traces import MAX_BYTES, Log, SpanEvent, log_of
from spanledger.stats.usage import Usage, total
from spanledger.store import queries
from spanledger.store.client import Store

_CANONICAL = (
    *(
        "role",
        "operation",
        "provider",
        "request_model",
        "response_model",
        "response_id",
        "service_tier",
        "finish_reason",
    ),
    *("conversation_id", "message_id", "user_id", "correlation_id", "workflow", "agent", "tool", "prompt"),
    *("prompt_version", "variant", "error_type", "dialect", "input_tokens", "cache_read_input_tokens"),
    *("cache_write_input_tokens", "output_tokens", "reasoning_output_tokens", "cost_claim_usd"),
)


@dataclass(frozen=True)
class OneSpan:
    """`canonical`: what normalisation read from the attributes, fields without a value left out. `cut`: how many
    characters the attributes have that are not shown in full. `left_out`: bytes that are not shown of a span that says
    more than 16 MB."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str
    scope: str
    started_at: str
    duration_ms: float
    status: str
    status_message: str
    anomalies: list[str]
    canonical: dict[str, str]
    attributes: dict[str, str]
    cut: dict[str, int]
    left_out: int
    resource: dict[str, str]
    events: list[SpanEvent]
    links: list[dict[str, str]]
    logs: list[Log]
    usage: Usage | None


def one_span(store: Store, tenant: str, trace_id: str, span_id: str, cut: int = 0) -> OneSpan:
    """`cut`: characters of each value that are shown; 0: all of them. Raises NotFound."""
    named = {"tenant": tenant, "trace_id": trace_id, "span_id": span_id}
    rows = store.dicts(queries.sql("span_canonical"), named)
    if not rows:
        raise NotFound(f"there is no span {span_id!r} in trace {trace_id!r}")
    row = rows[0]
    place = {name: row[name] for name in ("service", "span_name", "started_ns")}
    received = store.dicts(queries.sql("span_raw"), {**named, **place, "cut": cut, "most": MAX_BYTES})
    recorded: dict[str, Any] = received[0] if received else {}
    of_trace = {"tenant": tenant, "trace_ids": [trace_id]}
    sums = store.dicts(queries.sql("trace_usage"), of_trace)
    usage = total(one for one in sums if one["span_id"] == span_id)
    of_span = {**of_trace, "span_ids": [span_id], "limit": 1000, "most": MAX_BYTES}
    logs = store.dicts(queries.sql("trace_logs"), of_span)
    events = zip(
        recorded.get("event_names", ()), recorded.get("event_ns", ()), recorded.get("event_attributes", ()), strict=True
    )
    links = zip(recorded.get("link_trace_ids", ()), recorded.get("link_span_ids", ()), strict=True)
    return OneSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=row["parent_span_id"] or None,
        name=row["span_name"],
        kind=recorded.get("kind", ""),
        service=row["service"],
        scope=row["scope"],
        started_at=format_time(row["started_ns"]),
        duration_ms=milliseconds(row["duration_ns"]),
        status=row["status"],
        status_message=recorded.get("status_message", ""),
        anomalies=list(row["anomalies"]),
        canonical={name: str(row[name]) for name in _CANONICAL if row[name] not in (None, "")},
        attributes=dict(recorded.get("attributes", {})),
        cut=dict(recorded.get("cut_attributes", {})),
        left_out=recorded.get("left_out", 0),
        resource=dict(recorded.get("resource", {})),
        events=[SpanEvent(name, format_time(at), dict(attributes)) for name, at, attributes in events],
        links=[{"trace_id": trace, "span_id": span} for trace, span in links],
        logs=[log_of(one) for one in logs],
        usage=usage if usage.llm_calls or usage.failed_calls else None,
    )
