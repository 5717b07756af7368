"""Spans and log records, as they are made, become events on the bus. Runs inside requests: it takes µs."""

from collections import OrderedDict
from threading import Lock
from typing import Any

from spanledger.live.bus import Bus
from spanledger.live.event import Event
from spanledger.live.shapes import RECORDS, Shapes, SpanView, recorded
from spanledger.telemetry import semconv
from spanledger.telemetry.ids import Ids

_MAX_OPEN = 50_000


class Hearing:
    """A `telemetry.Listener`. It also tracks open spans: ClickHouse receives a span only after its end."""

    def __init__(self, bus: Bus) -> None:
        self.failures = 0
        self._bus = bus
        self._shapes = Shapes()
        self._open: OrderedDict[int, Event] = OrderedDict()
        self._guard = Lock()

    def started(self, span: Any, known: Ids) -> None:
        attributes = span.attributes
        operation, node = attributes.get(semconv.OPERATION_NAME), attributes.get(semconv.NODE_NAME)
        if operation == semconv.INVOKE_WORKFLOW:
            kind = {semconv.OPERATION_NAME: operation}
        elif node and not operation:
            kind = {semconv.NODE_NAME: node}
        else:
            return
        # Its attributes change later; what it says now are its ids and its kind.
        event = self._shapes.started(_view(span, {**known.attributes(), **kind}, 0))
        if event is None:
            return
        with self._guard:
            self._open[span.context.span_id] = event
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
        self._bus.publish(event)

    def ended(self, span: Any) -> None:
        attributes = (
            span.attributes.copy()
        )  # a plain dict: looking something up in the SDK's own costs ten times as much
        if attributes.get(semconv.OPERATION_NAME) is None and attributes.get(semconv.NODE_NAME) is None:
            return
        with self._guard:
            self._open.pop(span.context.span_id, None)
            events = self._shapes.ended(_view(span, attributes, span.end_time))
        for event in events:
            self._bus.publish(event)

    def recorded(self, record: Any) -> None:
        if record.event_name not in RECORDS:
            return
        event = recorded(
            record.event_name,
            record.timestamp,
            f"{record.span_id or 0:016x}",
            f"{record.trace_id:032x}" if record.trace_id else "",
            str(record.body or ""),
            dict(record.attributes or {}),
        )
        if event is not None:
            self._bus.publish(event)

    def open(self) -> list[Event]:
        """The starts of what runs still, oldest first."""
        with self._guard:
            return list(self._open.values())


def _view(span: Any, attributes: Any, end_ns: int) -> SpanView:
    context, parent, status = span.context, span.parent, span.status
    return SpanView(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent is not None else "",
        start_ns=span.start_time,
        end_ns=end_ns,
        failed=not status.is_ok,
        message=status.description or "",
        attributes=attributes,
    )
