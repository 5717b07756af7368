"""What conversations were about and what they came to: `/v1/conversations/{id}/analysis|statement|seal`."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from spanledger.api.inputs import Id
from spanledger.api.reader import Reads, checked_id, only
from spanledger.errors import NotFound, StoreError
from spanledger.runtime.services import Services, services_of
from spanledger.stats import conversations
from spanledger.stats.statements import Statement, analysis, message_analyses, statements

_FLUSH_S = 120.0
router = APIRouter(tags=["analysis"])
ConversationId = Annotated[Id, Path()]


@router.get("/v1/conversations/{conversation_id}/analysis")
def analysed(request: Request, conversation_id: ConversationId, reads: Reads) -> dict[str, Any]:
    """The newest analysis, or why there is none, and what the live pass found in each message."""
    only(request, ())
    found = conversations.conversation(reads.store, reads.tenant, checked_id(conversation_id, "conversation_id"))
    versions = statements(reads.store, reads.tenant, conversation_id)
    sealed = analysis(reads.store, reads.tenant, versions)
    messages = conversations.messages(reads.store, reads.tenant, conversation_id).items
    live = message_analyses(reads.store, reads.tenant, [one.trace_id for one in messages])
    return {
        "conversation_id": conversation_id,
        "status": found.status,
        "analysis": asdict(sealed) if sealed else None,
        "missing_because": None if sealed else _why(versions),
        "messages": [asdict(one) for one in live],
    }


@router.get("/v1/conversations/{conversation_id}/statement")
def statement(request: Request, conversation_id: ConversationId, reads: Reads) -> dict[str, Any]:
    """The sealed statement, and all its versions, newest first; each names what it corrects."""
    only(request, ())
    versions = statements(reads.store, reads.tenant, checked_id(conversation_id, "conversation_id"))
    if not versions:
        conversations.conversation(reads.store, reads.tenant, conversation_id)  # says so if there is none at all
        raise NotFound(f"conversation {conversation_id!r} is not sealed yet; POST …/seal does it now")
    return {**_told(versions[0]), "versions": [_told(one) for one in versions]}


@router.post("/v1/conversations/{conversation_id}/seal")
async def seal(
    conversation_id: ConversationId, reads: Reads, services: Annotated[Services, Depends(services_of)]
) -> dict[str, Any]:
    """Seals it as it stands now; the statement as it is if nothing has changed since."""
    await asyncio.to_thread(_everything_is_in, services)
    assert services.platform is not None
    sealed: Statement = await services.platform.sealer.seal(reads.tenant, conversation_id)
    await asyncio.to_thread(_everything_is_in, services)
    return _told(sealed)


def _everything_is_in(services: Services) -> None:
    """What was emitted or acknowledged until now is in the books. Raises StoreError."""
    services.telemetry.flush()
    if services.ingest is not None and not services.ingest.flush(_FLUSH_S):
        raise StoreError(f"what was received could not be loaded within {_FLUSH_S:.0f} s; try again")
    if services.ledger is not None:
        services.ledger.settler.settle_now()


def _told(version: Statement) -> dict[str, Any]:
    return {name: value for name, value in asdict(version).items() if name not in {"first_ns", "last_ns"}}


def _why(versions: list[Statement]) -> str:
    if not versions:
        return "the conversation is not sealed yet"
    return versions[0].analysis.removeprefix("none: ")
