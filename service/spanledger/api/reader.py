"""Shared by all reading routes: the store, the tenant of the caller, and validation of parameters."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller, Services, services_of
from spanledger.store.client import Store

MAX_ID = 256


@dataclass(frozen=True)
class Reader:
    store: Store
    tenant: str


def _reader(services: Annotated[Services, Depends(services_of)], principal: Caller) -> Reader:
    return Reader(services.reading, principal.tenant)


AppServices = Annotated[Services, Depends(services_of)]
Reads = Annotated[Reader, Depends(_reader)]


def checked_id(text: str, name: str) -> str:
    """Any non-empty text up to MAX_ID characters. Raises BadRequest."""
    if not 0 < len(text) <= MAX_ID:
        raise BadRequest(f"{name} must have 1 to {MAX_ID} characters, not {len(text)}")
    return text
