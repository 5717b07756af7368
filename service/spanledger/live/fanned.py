"""Spans of other processes of this service, as a Collector fans them out, become events of this one's stream."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.live.event import Event
from spanledger.live.shapes import Shapes, SpanView, replayed
from spanledger.telemetry import semconv


class Fanned:
    """Best effort: late events are delivered late, lost ones can be read again with `Last-Event-ID`.

    `instance` is this process, whose own spans were events already; events of other services come from the ledger.
    """

    def __init__(self, service: str, instance: str) -> None:
        self._service = service
        self._instance = instance
        self._shapes = Shapes()

    def events(self, request: ExportTraceServiceRequest, tenant: str) -> list[Event]:
        """The events of the spans of a request. All are `tenant`'s, whatever the spans say; empty: the sender is the
        operator, which may send for every tenant."""
        views: list[SpanView] = []
        for resource_spans in request.resource_spans:
            resource = _attributes(resource_spans.resource.attributes)
            if resource.get("service.name") != self._service:
                continue
            if resource.get(semconv.SERVICE_INSTANCE_ID) == self._instance:
                continue
            owner = tenant or resource.get(semconv.TENANT, "")
            known = {semconv.TENANT: owner} if owner else {}
            views += [_view(span, known) for scope in resource_spans.scope_spans for span in scope.spans]
        return replayed(views, self._shapes)


def _view(span: Any, known: dict[str, Any]) -> SpanView:
    return SpanView(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == 2,
        message=span.status.message,
        attributes={**_attributes(span.attributes), **known},
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind and kind != "kvlist_value" else None
