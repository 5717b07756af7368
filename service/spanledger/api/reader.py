"""What every reading route needs: the store, whose data it may see, and careful reading of parameters."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller
from spanledger.store.client import Store

MAX_ID = 256


@dataclass(frozen=True)
class Reader:
    store: Store
    tenant: str


def _reader(request: Request, principal: Caller) -> Reader:
    return Reader(request.app.state.services.store, principal.tenant)


Reads = Annotated[Reader, Depends(_reader)]


def checked_id(text: str, name: str) -> str:
    """Any non-empty text up to MAX_ID characters. Raises BadRequest."""
    if not 0 < len(text) <= MAX_ID:
        raise BadRequest(f"{name} must have 1 to {MAX_ID} characters, not {len(text)}")
    return text


def only(request: Request, allowed: Iterable[str]) -> None:
    """Refuses parameters that nobody would read: a misspelt filter must not look like a total. Raises BadRequest."""
    names = list(allowed)
    for name in request.query_params:
        if name not in names:
            raise BadRequest(f"parameter {name!r} is unknown here; these are: {', '.join(names) or 'none'}")


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A number from the query string. Raises BadRequest."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise BadRequest(f"{name}={text!r} must be a whole number from {least} to {most}")
    return int(text)
