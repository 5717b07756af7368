"""One service, many tenants: what carries a tenant leaves under a resource of that tenant.

The door reads the tenant off the resource, and a process has one resource. So on its way out each span, log record and
data point that says `spanledger.tenant` gets the resource with the tenant added; the encoder groups by resource.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger.telemetry import semconv


class _Resources:
    """The resource of each tenant, made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Resource, str], Resource] = {}

    def of(self, base: Resource, attributes: Mapping[str, Any] | None) -> Resource:
        tenant = str((attributes or {}).get(semconv.TENANT) or "")
        if not tenant:
            return base
        found = self._made.get((base, tenant))
        if found is None:
            found = self._made[base, tenant] = base.merge(Resource({semconv.TENANT: tenant}))
        return found


class TenantSpans(SpanExporter):
    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._resources = _Resources()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([self._placed(span) for span in spans])

    def _placed(self, span: ReadableSpan) -> ReadableSpan:
        resource = self._resources.of(span.resource, span.attributes)
        if resource is span.resource:
            return span
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=resource,
            attributes=span.attributes,
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class TenantLogs(LogRecordExporter):
    def __init__(self, inner: LogRecordExporter) -> None:
        self._inner = inner
        self._resources = _Resources()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        return self._inner.export(
            [replace(one, resource=self._resources.of(one.resource, one.log_record.attributes)) for one in batch]
        )

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class TenantMetrics(MetricExporter):
    def __init__(self, inner: MetricExporter) -> None:
        super().__init__()
        self._inner = inner
        self._resources = _Resources()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        parts = [part for whole in metrics_data.resource_metrics for part in self._apart(whole)]
        return self._inner.export(MetricsData(parts), timeout_millis, **kwargs)

    def _apart(self, whole: ResourceMetrics) -> list[ResourceMetrics]:
        """The same data points, those of each tenant under its own resource."""
        tenants = {
            str((point.attributes or {}).get(semconv.TENANT) or "")
            for scope in whole.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }
        if not tenants - {""}:
            return [whole]
        return [self._only(whole, tenant) for tenant in sorted(tenants)]

    def _only(self, whole: ResourceMetrics, tenant: str) -> ResourceMetrics:
        scopes = []
        for scope in whole.scope_metrics:
            metrics = []
            for metric in scope.metrics:
                data: Any = metric.data
                points = [
                    point
                    for point in data.data_points
                    if str((point.attributes or {}).get(semconv.TENANT) or "") == tenant
                ]
                if points:
                    metrics.append(replace(metric, data=replace(data, data_points=points)))
            if metrics:
                scopes.append(replace(scope, metrics=metrics))
        resource = self._resources.of(whole.resource, {semconv.TENANT: tenant})
        return replace(whole, resource=resource, scope_metrics=scopes)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._inner.shutdown(timeout_millis, **kwargs)
