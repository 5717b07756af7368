"""Metrics leave when they have changed: an idle service exports nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ScopeMetrics,
)

_Series = tuple[str, str, frozenset[tuple[str, Any]]]  # scope, metric, attributes


class OnlyChanges(MetricExporter):
    """Passes on the points whose values differ from those delivered before.

    A series that changes after a pause is sent with the last point of the pause before it, so that readers see when it
    began to move. Points of delta temporality stand for themselves and always pass. Series of `echoes` count the
    exports themselves: they pass with others and never cause an export.
    """

    def __init__(self, inner: MetricExporter, echoes: Callable[[str, Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self._inner = inner
        self._echoes = echoes
        self._delivered: dict[_Series, Any] = {}
        self._held: dict[_Series, Any] = {}  # the newest point of each series that has not changed

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        moved: dict[_Series, Any] = {}
        wholes = []
        for whole in metrics_data.resource_metrics:
            scopes = [kept for scope in whole.scope_metrics if (kept := self._changed(scope, moved)) is not None]
            if scopes:
                wholes.append(replace(whole, scope_metrics=scopes))
        if not wholes or (moved and all(self._echoes(name, dict(attributes)) for _, name, attributes in moved)):
            return MetricExportResult.SUCCESS
        result = self._inner.export(MetricsData(wholes), timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self._delivered |= moved
            for series in moved:
                self._held.pop(series, None)
        return result

    def _changed(self, scope: ScopeMetrics, moved: dict[_Series, Any]) -> ScopeMetrics | None:
        metrics = []
        for metric in scope.metrics:
            data: Any = metric.data
            if getattr(data, "aggregation_temporality", None) is AggregationTemporality.DELTA:
                metrics.append(metric)
                continue
            points = []
            for point in data.data_points:
                series = (scope.scope.name, metric.name, frozenset((point.attributes or {}).items()))
                value = _value(point)
                if self._delivered.get(series) == value:
                    self._held[series] = point
                    continue
                moved[series] = value
                points += [self._held[series], point] if series in self._held else [point]
            if points:
                metrics.append(replace(metric, data=replace(data, data_points=points)))
        return replace(scope, metrics=metrics) if metrics else None

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._inner.shutdown(timeout_millis, **kwargs)


def _value(point: Any) -> Any:
    """What a point says beside its times: of a histogram its count and sum tell whether anything was recorded."""
    return (point.count, point.sum) if hasattr(point, "count") else (point.value,)
