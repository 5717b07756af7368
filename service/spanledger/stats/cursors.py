"""Where a page ended, as an opaque text: a position in time and the id of the last row there."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from spanledger.errors import BadRequest


def write_cursor(position_ns: int, last_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([position_ns, last_id]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, str]:
    """Raises BadRequest."""
    try:
        position, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(position) is not int or not isinstance(last_id, str) or abs(position) >= 2**63:
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as exc:
        raise BadRequest("cursor is not one that this API gave out; leave it away to start over") from exc
    return position, last_id


def write_place(values: Sequence[int | str]) -> str:
    """A cursor of several values, by which rows are sorted."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def read_place(cursor: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    """Its values, which must be of these kinds. Raises BadRequest."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
            raise ValueError
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in values):
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as exc:
        raise BadRequest("cursor is not one that this API gave out; leave it away to start over") from exc
    return tuple(values)
