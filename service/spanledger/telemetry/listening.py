"""Lets listeners see spans and log records as they are emitted. Errors of a listener are counted and ignored."""

import logging
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from spanledger.telemetry import ids

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Is called where spans and records are made, so it must take µs. `failures` is counted here."""

    failures: int

    def started(self, span: Any, known: ids.Ids) -> None:
        """`span` is the SDK's, running; `known` are the ids that it carries."""

    def ended(self, span: Any) -> None:
        """`span` is the SDK's ReadableSpan; it does not change any more."""

    def recorded(self, record: Any) -> None:
        """`record` is a LogRecord with an event name."""


class ListeningToSpans(SpanProcessor):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        try:
            self._listener.started(span, ids.current(parent_context))
        except Exception:  # noqa: BLE001 — telemetry never raises into a request
            _failed(self._listener)

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._listener.ended(span)
        except Exception:  # noqa: BLE001
            _failed(self._listener)


class ListeningToRecords(LogRecordProcessor):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        try:
            if log_record.log_record.event_name:
                self._listener.recorded(log_record.log_record)
        except Exception:  # noqa: BLE001
            _failed(self._listener)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _failed(listener: Listener) -> None:
    listener.failures += 1
    if listener.failures == 1:  # the others are counted: a log line each would make things worse
        _log.exception("a listener to spans failed; further failures are only counted")
