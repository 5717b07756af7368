"""Processes every span and log record on its way out: adds ids, bounds the queue, counts drops."""

import copy
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context, get_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from spanledger.telemetry import ids
from spanledger.telemetry.batches import Batches

QUEUE_SIZE = 8192  # spans, and as many log records: some 10 s of heavy traffic, ~20 MB
BATCH_SIZE = 512
SPAN_DELAY_S = 0.1  # a reply's spans leave at most this much after it
ALONE_DELAY_S = 5.0
LOG_DELAY_S = 0.5  # log records are less urgent than figures, and every export request costs
URGENT_S = max(SPAN_DELAY_S, LOG_DELAY_S)  # what waits longer says nothing of the books
CAN_WAIT = "spanledger-can-wait"  # in the context of a log record: it waits for others, as the span of a read does


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
    """Sets the request's ids on every span, also on those of libraries."""

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


class SpanQueue(SpanProcessor):
    """Exports spans in batches; what does not fit is refused and counted.

    A request under which nothing happened, as of somebody who reads or looks whether a job is done, says nothing of the
    books: its span waits for others, for each load has a price of its own.
    """

    def __init__(self, exporter: SpanExporter, tally: Tally) -> None:
        self._tally = tally
        self._exporter = _CountedSpans(exporter, tally)
        self._batches = Batches[ReadableSpan]("telemetry-spans", self._exporter.export, BATCH_SIZE)
        self._alone: set[int] = set()  # requests that are served and have no span under them yet

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.parent is not None and not span.parent.is_remote:
            self._alone.discard(span.parent.span_id)
        elif span.kind is SpanKind.SERVER:
            self._alone.add(span.get_span_context().span_id)

    def on_end(self, span: ReadableSpan) -> None:
        known = span.get_span_context()
        if known is None:
            return
        is_alone = known.span_id in self._alone
        self._alone.discard(known.span_id)
        if known.trace_flags.sampled and self._tally.accept():
            self._batches.add(span, ALONE_DELAY_S if is_alone else SPAN_DELAY_S)

    def shutdown(self) -> None:
        self._batches.close()
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.flush()

    def flush_urgent(self) -> bool:
        """Exports what waits, unless all of it says nothing of the books."""
        return self._batches.flush(URGENT_S)


class LogQueue(LogRecordProcessor):
    """The same for log records."""

    def __init__(self, exporter: LogRecordExporter, tally: Tally) -> None:
        self._tally = tally
        self._exporter = _CountedLogs(exporter, tally)
        self._batches = Batches[ReadableLogRecord]("telemetry-logs", self._exporter.export, BATCH_SIZE)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if not self._tally.accept():
            return
        can_wait = get_value(CAN_WAIT, log_record.log_record.context)
        record = copy.copy(log_record.log_record)
        record.context = Context()  # it would keep alive all that the request holds
        readable = ReadableLogRecord(
            log_record=record,
            resource=log_record.resource or Resource.create({}),
            instrumentation_scope=log_record.instrumentation_scope,
            limits=log_record.limits,
        )
        self._batches.add(readable, ALONE_DELAY_S if can_wait else LOG_DELAY_S)

    def shutdown(self) -> None:
        self._batches.close()
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.flush()

    def flush_urgent(self) -> bool:
        """Exports what waits, unless all of it says nothing of the books."""
        return self._batches.flush(URGENT_S)


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
