"""Processes every span and log record on its way out: adds ids, bounds the queue, counts drops."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from spanledger.telemetry import ids

QUEUE_SIZE = 8192  # spans, and as many log records: some 10 s of heavy traffic, ~20 MB
BATCH_SIZE = 512
SCHEDULE_DELAY_MS = 100  # a reply's spans leave at most this much after it
LOG_DELAY_MS = 500  # nobody waits for them as for figures, and every request costs


class Tally:
    """Counts what one signal accepted, delivered and lost. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._guard = threading.Lock()
        self._capacity = capacity
        self._waiting = 0
        self._undelivered = 0
        self._dropped = 0
        self._closed = False

    def accept(self) -> bool:
        """Whether there is room for one more; if not, it counts as dropped."""
        with self._guard:
            if self._closed or self._waiting >= self._capacity:
                self._dropped += 1
                return False
            self._waiting += 1
            self._undelivered += 1
            return True

    def hand_over(self, count: int) -> None:
        """`count` items left the queue for the exporter."""
        with self._guard:
            self._waiting -= count

    def settle(self, count: int, delivered: bool) -> None:
        """The exporter is done with `count` items."""
        with self._guard:
            self._undelivered -= count
            if not delivered:
                self._dropped += count

    def lose(self, count: int = 1) -> None:
        """Items are lost that do not count as waiting (any more)."""
        with self._guard:
            self._dropped += count

    def close(self) -> None:
        """Nothing will be delivered any more: what is still here is lost."""
        with self._guard:
            self._closed = True
            self._dropped += self._undelivered
            self._undelivered = self._waiting = 0

    @property
    def dropped(self) -> int:
        with self._guard:
            return self._dropped


class IdsOnSpans(SpanProcessor):
    """Stamps the request's ids on every span, whoever starts it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        ids.stamp(span, ids.current(parent_context))


class IdsOnLogs(LogRecordProcessor):
    """Stamps the request's ids on every log record."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        record = log_record.log_record
        known: Mapping[str, Any] = ids.current(record.context).attributes()
        if known:
            record.attributes = {**known, **(record.attributes or {})}

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


class SpanQueue(BatchSpanProcessor):
    """The SDK's batch queue, which would drop silently from its old end: this one refuses the new and counts it."""

    def __init__(self, exporter: SpanExporter, tally: Tally) -> None:
        self._tally = tally
        super().__init__(
            _CountedSpans(exporter, tally),
            max_queue_size=QUEUE_SIZE,
            schedule_delay_millis=SCHEDULE_DELAY_MS,
            max_export_batch_size=BATCH_SIZE,
        )

    def on_end(self, span: ReadableSpan) -> None:
        if self._tally.accept():
            super().on_end(span)


class LogQueue(BatchLogRecordProcessor):
    """The same for log records."""

    def __init__(self, exporter: LogRecordExporter, tally: Tally) -> None:
        self._tally = tally
        super().__init__(
            _CountedLogs(exporter, tally),
            max_queue_size=QUEUE_SIZE,
            schedule_delay_millis=LOG_DELAY_MS,
            max_export_batch_size=BATCH_SIZE,
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if self._tally.accept():
            super().on_emit(log_record)


class _CountedSpans(SpanExporter):
    def __init__(self, inner: SpanExporter, tally: Tally) -> None:
        self._inner, self._tally = inner, tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._tally.hand_over(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._tally.settle(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class _CountedLogs(LogRecordExporter):
    def __init__(self, inner: LogRecordExporter, tally: Tally) -> None:
        self._inner, self._tally = inner, tally

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self._tally.hand_over(len(batch))
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            self._tally.settle(len(batch), result is LogRecordExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]


class CountedMetrics(MetricExporter):
    """Counts failed exports of metrics; their figures are cumulative, so the next export repairs a failed one."""

    def __init__(self, inner: MetricExporter, tally: Tally) -> None:
        super().__init__()
        self._inner, self._tally = inner, tally

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        result = MetricExportResult.FAILURE
        try:
            result = self._inner.export(metrics_data, timeout_millis, **kwargs)
        finally:
            if result is not MetricExportResult.SUCCESS:
                self._tally.lose()
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._inner.shutdown(timeout_millis, **kwargs)
