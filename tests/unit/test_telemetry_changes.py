"""Metrics leave when they have changed, through the SDK's own reader."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from spanledger.telemetry.changes import OnlyChanges

Exports = list[list[tuple[str, float]]]


class Kept(MetricExporter):
    """Keeps the names and values of each export; fails while `failing`."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: Exports = []
        self.failing = False

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        if self.failing:
            return MetricExportResult.FAILURE
        metrics = [m for w in metrics_data.resource_metrics for s in w.scope_metrics for m in s.metrics]
        points: Callable[[Any], list[Any]] = lambda metric: list(metric.data.data_points)  # noqa: E731
        self.exports.append([(m.name, getattr(p, "value", None) or p.count) for m in metrics for p in points(m)])
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def provider(kept: Kept) -> MeterProvider:
    changes = OnlyChanges(kept, lambda name, _: name == "echo")
    reader = PeriodicExportingMetricReader(changes, export_interval_millis=3_600_000)
    return MeterProvider(metric_readers=[reader], shutdown_on_exit=False)


def test_what_does_not_change_is_not_sent_again(kept: Kept, provider: MeterProvider) -> None:
    counter = provider.get_meter("test").create_counter("requests")
    counter.add(3)
    provider.force_flush()
    provider.force_flush()
    assert kept.exports == [[("requests", 3)]]


def test_a_change_is_sent_with_the_end_of_the_pause_before_it(kept: Kept, provider: MeterProvider) -> None:
    counter = provider.get_meter("test").create_counter("requests")
    counter.add(3)
    provider.force_flush()
    provider.force_flush()
    counter.add(1)
    provider.force_flush()
    assert kept.exports == [[("requests", 3)], [("requests", 3), ("requests", 4)]]


def test_what_could_not_be_sent_is_sent_again(kept: Kept, provider: MeterProvider) -> None:
    histogram = provider.get_meter("test").create_histogram("duration")
    histogram.record(0.5)
    kept.failing = True
    provider.force_flush()
    kept.failing = False
    provider.force_flush()
    provider.force_flush()
    assert kept.exports == [[("duration", 1)]]


def test_what_counts_exports_causes_none(kept: Kept, provider: MeterProvider) -> None:
    meter = provider.get_meter("test")
    echo, counter = meter.create_counter("echo"), meter.create_counter("requests")
    counter.add(1)
    provider.force_flush()
    echo.add(1)
    provider.force_flush()
    counter.add(1)
    provider.force_flush()
    first, second = kept.exports
    assert (first, sorted(second)) == ([("requests", 1)], [("echo", 1), ("requests", 1), ("requests", 2)])
