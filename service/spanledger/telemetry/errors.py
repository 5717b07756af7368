"""How a span records a failure."""

import asyncio

from opentelemetry.trace import Span, Status, StatusCode

from spanledger.telemetry import semconv

_MAX_DESCRIPTION = 300


def error_type(error: BaseException) -> str:
    """`error.type`: what the error says it is (`rate_limit`, `500`, …), else its class."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    said = getattr(error, "error_type", "")
    return said if isinstance(said, str) and said else type(error).__qualname__


def fail(span: Span, error: BaseException) -> None:
    """Marks `span` as failed by `error`."""
    span.set_attribute(semconv.ERROR_TYPE, error_type(error))
    lines = str(error).splitlines()
    span.set_status(Status(StatusCode.ERROR, (lines[0] if lines else error_type(error))[:_MAX_DESCRIPTION]))
