"""Python's `logging` as OTLP log records, with the trace and the ids of the request they were written in."""

import logging
import time
import traceback
from collections.abc import Iterator
from typing import Any

from opentelemetry import context as otel
from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber

from spanledger.errors import SpanledgerError, telemetry_message

# Who logs about exporting must not be exported, or one failed export would feed the next.
_NOT_OURS = ("opentelemetry", "urllib3", "requests", "httpx", "httpcore", "spanledger.telemetry.otlp")
_SEVERITY = (
    (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
    (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
    (logging.WARNING, SeverityNumber.WARN, "WARN"),
    (logging.INFO, SeverityNumber.INFO, "INFO"),
    (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
)


class OtlpHandler(logging.Handler):
    """Hands every record to the OpenTelemetry logger of the same name.

    An exception's message may quote a user. Without `content` only its type and its place are written, and the
    `telemetry_message` of our own errors.
    """

    def __init__(self, provider: LoggerProvider, content: bool = False) -> None:
        super().__init__(logging.INFO)
        self._provider = provider
        self._content = content
        self._loggers: dict[str, Logger] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in _NOT_OURS or record.name.split(".", 1)[0] in _NOT_OURS:
            return
        try:
            self._logger(record.name).emit(_translated(record, self._content))
        except Exception:  # noqa: BLE001 — a log record that cannot be exported must not break its caller
            self.handleError(record)

    def _logger(self, name: str) -> Logger:
        logger = self._loggers.get(name)
        if logger is None:
            logger = self._loggers[name] = self._provider.get_logger(name)
        return logger


def _translated(record: logging.LogRecord, content: bool) -> LogRecord:
    number, text = next(
        ((number, text) for level, number, text in _SEVERITY if record.levelno >= level),
        (SeverityNumber.TRACE, "TRACE"),
    )
    attributes: dict[str, Any] = {
        "code.file.path": record.pathname,
        "code.function.name": record.funcName,
        "code.line.number": record.lineno,
    }
    if record.exc_info and record.exc_info[1] is not None:
        attributes |= _exception(record.exc_info[1], content)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        observed_timestamp=time.time_ns(),
        context=otel.get_current(),
        severity_number=number,
        severity_text=text,
        body=record.getMessage(),
        attributes=attributes,
    )


def _exception(error: BaseException, content: bool) -> dict[str, str]:
    fields = {"exception.type": type(error).__qualname__}
    if content:
        stack = traceback.format_exception(error)
        return fields | {"exception.message": str(error), "exception.stacktrace": "".join(stack)}
    if isinstance(error, SpanledgerError):
        fields["exception.message"] = telemetry_message(error)
    return fields | {"exception.stacktrace": "\n".join(_frames(error))}


def _frames(error: BaseException | None) -> Iterator[str]:
    """Where an exception was raised, and those that led to it, the first one first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for one in reversed(chain):
        yield "".join([*traceback.format_tb(one.__traceback__), type(one).__qualname__])
