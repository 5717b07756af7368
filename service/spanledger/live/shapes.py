"""Which events a span or a log record amounts to, and what they say.

Live (a span that starts or ends now) and read back from ClickHouse (both its ends at once) go through the same
functions, so an event reads the same either way.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from spanledger.foreign import amounts
from spanledger.live.event import Event
from spanledger.stats.times import milliseconds
from spanledger.telemetry import semconv

MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings", "rerank"})
RECORDS: Mapping[str, str] = {
    "spanledger.limit_exceeded": "limit_exceeded",
    "spanledger.security": "security",
    "spanledger.audit": "audit",
    "spanledger.health": "health",
    "spanledger.progress": "workflow_progress",
}
_MAX_RUNS = 20_000  # that are summed up at a time; a run that never ends must not stay for ever
_IDS = {
    "message_id": semconv.MESSAGE_ID,
    "correlation_id": semconv.CORRELATION_ID,
    "workflow": semconv.WORKFLOW_NAME,
    "agent": semconv.AGENT_NAME,
    "agent_id": semconv.AGENT_ID,
    "agent_version": semconv.AGENT_VERSION,
    "variant": semconv.VARIANT,
    "from": semconv.SOURCE,
}
# Who has to act: `high` we, `normal` no one yet (the provider may recover), `low` the caller.
_LOW = frozenset({"cancelled", "400", "404", "422", "unknown_model", "unknown_workflow", "limit_exceeded", "denied"})
_NORMAL = frozenset({"429", "408", "409", "500", "502", "503", "504", "529", "timeout", "connection_error"})

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpanView:
    """What events are made of. `end_ns` 0: it runs still."""

    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    failed: bool
    message: str  # of the status
    attributes: Attributes

    def value_of(self, key: str) -> str:
        value = self.attributes.get(key)
        return value if isinstance(value, str) else ""


@dataclass(slots=True)
class Sums:
    """What the model calls of one run came to so far, as their spans say it."""

    model_calls: int = 0
    failed_calls: int = 0
    nodes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None
    unpriced_calls: int = 0

    def facts(self) -> dict[str, Any]:
        """`cost` is null when no call reported one: unknown is not zero. The ledger's figures come as `usage`."""
        return {
            "tokens": self.input_tokens + self.output_tokens,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": None if self.cost is None else f"{self.cost:f}",
            "model_calls": self.model_calls,
            "failed_calls": self.failed_calls,
            "unpriced_calls": self.unpriced_calls,
        }


class Shapes:
    """Turns spans into events, in the order in which things happen. Keeps the sums of the runs that go on."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], Sums] = OrderedDict()

    def started(self, span: SpanView) -> Event | None:
        """What the start of a span amounts to."""
        if _operation(span) == semconv.INVOKE_WORKFLOW:
            return _event("workflow_started", span, span.start_ns, lambda: _ids(span))
        if semconv.NODE_NAME in span.attributes:
            return _event("node_started", span, span.start_ns, lambda: {**_ids(span), "node": _node(span)})
        return None

    def ended(self, span: SpanView) -> tuple[Event, ...]:
        """What the end of a span amounts to."""
        operation = _operation(span)
        if operation in MODEL_OPERATIONS:
            _add(self._sums(span), span)
            return (_event("model_response", span, span.end_ns, lambda: _model_response(span)),)
        if operation == semconv.EXECUTE_TOOL:
            return (_event("tool_called", span, span.end_ns, lambda: _tool_called(span)),)
        if operation == semconv.INVOKE_WORKFLOW:
            sums = self._runs.pop(_run(span), None) or Sums()
            name = "workflow_failed" if span.failed else "workflow_completed"
            return (_event(name, span, span.end_ns, lambda: _workflow_ended(span, sums)),)
        if semconv.NODE_NAME in span.attributes:
            return self._node_completed(span)
        return ()

    def _node_completed(self, span: SpanView) -> tuple[Event, ...]:
        sums = self._sums(span)
        sums.nodes += 1
        so_far = {"node": _node(span), "nodes_completed": sums.nodes, **sums.facts()}
        return (
            _event("node_completed", span, span.end_ns, lambda: {**_ids(span), "node": _node(span), **_outcome(span)}),
            _event("workflow_progress", span, span.end_ns, lambda: {**_ids(span), **so_far}),
        )

    def _sums(self, span: SpanView) -> Sums:
        run = _run(span)
        sums = self._runs.get(run)
        if sums is None:
            sums = self._runs[run] = Sums()
            if len(self._runs) > _MAX_RUNS:
                self._runs.popitem(last=False)
        return sums


def replayed(spans: Sequence[SpanView], shapes: Shapes) -> list[Event]:
    """The events of spans that have ended, as they happened one after the other."""
    moments = [(span.start_ns, 0, span) for span in spans] + [(span.end_ns, 1, span) for span in spans]
    # Of spans that share a moment the outer one starts first and ends last.
    moments.sort(key=lambda m: (m[0], m[1], m[2].start_ns - m[2].end_ns if m[1] == 0 else m[2].end_ns - m[2].start_ns))
    events: list[Event] = []
    for _, is_end, span in moments:
        if is_end:
            events += shapes.ended(span)
        elif (event := shapes.started(span)) is not None:
            events.append(event)
    return events


def recorded(name: str, at_ns: int, source: str, trace_id: str, body: str, attributes: Attributes) -> Event | None:
    """The event of a log record with an event name; None when it is none of ours."""
    kind = RECORDS.get(name)
    if kind is None:
        return None
    record = SpanView(trace_id, source, "", at_ns, at_ns, False, body, attributes)
    prefix = name + "."

    def facts() -> dict[str, Any]:
        own = {key.removeprefix(prefix): _text(value) for key, value in attributes.items() if key.startswith(prefix)}
        ids = _ids(record)
        if not source.strip("0"):
            del ids["span_id"]
        return {**ids, "detail": body, **own}

    return _event(kind, record, at_ns, facts)


def _event(kind: str, span: SpanView, at_ns: int, facts: Callable[[], Mapping[str, Any]]) -> Event:
    value_of = span.value_of
    return Event(
        kind,
        at_ns,
        span.span_id,
        value_of(semconv.TENANT) or "default",
        span.trace_id,
        value_of(semconv.CONVERSATION_ID),
        value_of(semconv.USER_ID),
        facts,
    )


def _operation(span: SpanView) -> str:
    return span.value_of(semconv.OPERATION_NAME)


def _node(span: SpanView) -> str:
    return span.value_of(semconv.NODE_NAME)


def _run(span: SpanView) -> tuple[str, str]:
    return span.trace_id, span.value_of(semconv.MESSAGE_ID)


def _ids(span: SpanView) -> dict[str, Any]:
    known = {name: value for name, key in _IDS.items() if (value := span.value_of(key))}
    return {**known, "span_id": span.span_id, **({"parent_span_id": span.parent_id} if span.parent_id else {})}


def _outcome(span: SpanView) -> dict[str, Any]:
    took = {"ms": milliseconds(span.end_ns - span.start_ns), "status": "error" if span.failed else "ok"}
    return {**took, "error": _error(span)} if span.failed else took


def _error(span: SpanView) -> dict[str, str]:
    return {"type": span.value_of(semconv.ERROR_TYPE) or "unknown", "message": span.message}


def _model_response(span: SpanView) -> dict[str, Any]:
    sums = Sums()
    _add(sums, span)
    reasons = span.attributes.get(semconv.RESPONSE_FINISH_REASONS)
    served = span.value_of(semconv.RESPONSE_MODEL) or span.value_of(semconv.REQUEST_MODEL)
    used = {name: value for name, value in sums.facts().items() if not name.endswith("_calls")}
    return {
        **_ids(span),
        "operation": _operation(span),
        "provider": span.value_of(semconv.PROVIDER_NAME),
        "model": served,
        "attempt": _count(span.attributes.get(semconv.ATTEMPT)) or 1,
        "finish_reason": reasons[0] if isinstance(reasons, list | tuple) and reasons else None,
        **(dict.fromkeys(used) if _silent(span) else used),
        "estimated": str(span.attributes.get(semconv.USAGE_ESTIMATED, "")).lower() == "true",
        **_outcome(span),
    }


def _tool_called(span: SpanView) -> dict[str, Any]:
    return {
        **_ids(span),
        "tool": span.value_of(semconv.TOOL_NAME),
        "call_id": span.value_of(semconv.TOOL_CALL_ID),
        **_outcome(span),
    }


def _workflow_ended(span: SpanView, sums: Sums) -> dict[str, Any]:
    facts = {**_ids(span), **sums.facts(), **_outcome(span)}
    if span.failed:
        facts["priority"] = priority(span.value_of(semconv.ERROR_TYPE))
    return facts


def priority(error_type: str) -> str:
    """Who must look at a failed workflow, and how soon."""
    if error_type in _LOW:
        return "low"
    return "normal" if error_type in _NORMAL else "high"


def _silent(span: SpanView) -> bool:
    """Whether the call has no usage."""
    return semconv.INPUT_TOKENS not in span.attributes and semconv.OUTPUT_TOKENS not in span.attributes


def _add(sums: Sums, span: SpanView) -> None:
    if _silent(span):
        sums.failed_calls += span.failed
        sums.model_calls += not span.failed
        sums.unpriced_calls += not span.failed
        return
    sums.model_calls += 1
    sums.input_tokens += _count(span.attributes.get(semconv.INPUT_TOKENS))
    sums.output_tokens += _count(span.attributes.get(semconv.OUTPUT_TOKENS))
    cost = _money(span.attributes.get(semconv.COST_AMOUNT))
    if cost is None:
        sums.unpriced_calls += 1
    else:
        sums.cost = (sums.cost or Decimal(0)) + cost


def _text(value: Any) -> str:
    """As ClickHouse keeps attributes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _count(value: Any) -> int:
    """Numbers come as numbers from a live span and as text from ClickHouse."""
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0


def _money(value: Any) -> Decimal | None:
    return None if value is None else amounts.parse(value)
