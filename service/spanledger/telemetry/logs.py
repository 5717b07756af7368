"""Python's `logging` as OTLP log records, with the trace and the ids of the request they were written in."""

import logging
import time
import traceback
from typing import Any

from opentelemetry import context as otel
from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber

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
    """Hands every record to the OpenTelemetry logger of the same name."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__(logging.INFO)
        self._provider = provider
        self._loggers: dict[str, Logger] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in _NOT_OURS or record.name.split(".", 1)[0] in _NOT_OURS:
            return
        try:
            self._logger(record.name).emit(_translated(record))
        except Exception:  # noqa: BLE001 — a log record that cannot be exported must not break its caller
            self.handleError(record)

    def _logger(self, name: str) -> Logger:
        logger = self._loggers.get(name)
        if logger is None:
            logger = self._loggers[name] = self._provider.get_logger(name)
        return logger


def _translated(record: logging.LogRecord) -> LogRecord:
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
        error = record.exc_info[1]
        attributes["exception.type"] = type(error).__qualname__
        attributes["exception.message"] = str(error)
        attributes["exception.stacktrace"] = "".join(traceback.format_exception(error))
    return LogRecord(
        timestamp=int(record.created * 1e9),
        observed_timestamp=time.time_ns(),
        context=otel.get_current(),
        severity_number=number,
        severity_text=text,
        body=record.getMessage(),
        attributes=attributes,
    )
