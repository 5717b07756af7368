"""Exporters that keep on disk what the endpoint does not take."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger.telemetry.outbox import Resender


class KeptSpans(SpanExporter):
    """While something waits, what comes goes behind it: an endpoint that is down is not waited for at every batch."""

    def __init__(self, inner: SpanExporter, resender: Resender) -> None:
        self._inner, self._resender = inner, resender

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._resender.waiting and self._keep(spans):
            return SpanExportResult.SUCCESS
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS and self._keep(spans):
            return SpanExportResult.SUCCESS
        return result

    def _keep(self, spans: Sequence[ReadableSpan]) -> bool:
        return self._resender.keep("traces", encode_spans(spans).SerializeToString(), len(spans))

    def shutdown(self) -> None:
        self._inner.shutdown()


class KeptLogs(LogRecordExporter):
    """The same for log records."""

    def __init__(self, inner: LogRecordExporter, resender: Resender) -> None:
        self._inner, self._resender = inner, resender

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        if self._resender.waiting and self._keep(batch):
            return LogRecordExportResult.SUCCESS
        result = self._inner.export(batch)
        if result is not LogRecordExportResult.SUCCESS and self._keep(batch):
            return LogRecordExportResult.SUCCESS
        return result

    def _keep(self, batch: Sequence[ReadableLogRecord]) -> bool:
        return self._resender.keep("logs", encode_logs(batch).SerializeToString(), len(batch))

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]
