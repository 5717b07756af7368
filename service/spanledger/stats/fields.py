"""Types of the fields of answers: one form of a time, of money and of what is not known, in the code and in OpenAPI."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema


def rfc3339(at: datetime) -> str:
    """UTC with microseconds and a `Z`, the one form of a time in the API."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_DATE_TIME = {"type": "string", "format": "date-time", "examples": ["2026-11-21T07:00:00.000000Z"]}
_DECIMAL = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["0.0123"]}

Time = Annotated[str, WithJsonSchema(_DATE_TIME)]  # made by `times.format_time`
Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema(_DATE_TIME)]
Money = Annotated[str, WithJsonSchema(_DECIMAL)]  # USD, exact
# A text that the store keeps as empty when it is not known: null in an answer.
OrNull = Annotated[str, PlainSerializer(lambda text: text or None, return_type=str | None)]
