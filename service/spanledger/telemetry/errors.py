"""How a span records a failure."""

import asyncio

from opentelemetry.trace import Span, Status, StatusCode

from spanledger.errors import telemetry_message
from spanledger.telemetry import semconv

_MAX_DESCRIPTION = 300


def error_type(error: BaseException) -> str:
    """`error.type`: what the error says it is (`rate_limit`, `500`, …), else its class."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    kind = getattr(error, "error_type", "")
    return kind if isinstance(kind, str) and kind else type(error).__qualname__


def fail(span: Span, error: BaseException, with_content: bool = False) -> None:
    """Marks `span` as failed by `error`. `with_content`: also with words that may be a user's."""
    span.set_attribute(semconv.ERROR_TYPE, error_type(error))
    lines = (str(error) if with_content else telemetry_message(error)).splitlines()
    span.set_status(Status(StatusCode.ERROR, (lines[0] if lines else error_type(error))[:_MAX_DESCRIPTION]))
