"""Analyses and statements of conversations: `/v1/conversations/{id}/analysis|statement|seal`."""

import asyncio
from dataclasses import asdict

from fastapi import APIRouter

from spanledger.api.names import Parts
from spanledger.api.parameters import ConversationId
from spanledger.api.reader import AppServices, Reads
from spanledger.api.schemas.analysis import ConversationAnalysis, SealedStatement, StatementWithVersions
from spanledger.errors import NotFound, StoreError
from spanledger.runtime.services import Services
from spanledger.stats import conversations
from spanledger.stats.statements import Statement, analysis, message_analyses, statements

_FLUSH_S = 120.0
router = APIRouter(tags=["analysis"])


@router.get("/v1/conversations/{conversation_id}/analysis")
def get_analysis(conversation_id: ConversationId, reads: Reads) -> ConversationAnalysis:
    """The newest analysis, or why there is none, and what the live pass found in each message."""
    found = conversations.conversation(reads.store, reads.tenant, conversation_id)
    versions = statements(reads.store, reads.tenant, conversation_id)
    sealed = analysis(reads.store, reads.tenant, versions)
    messages = conversations.messages(reads.store, reads.tenant, conversation_id).items
    live = message_analyses(reads.store, reads.tenant, [one.trace_id for one in messages])
    return ConversationAnalysis(
        conversation_id=conversation_id,
        status=found.status,
        analysis=sealed,
        missing_because=None if sealed else _why(versions),
        messages=live,
    )


@router.get("/v1/conversations/{conversation_id}/statement")
def get_statement(conversation_id: ConversationId, reads: Reads) -> StatementWithVersions:
    """The sealed statement, and all its versions, newest first; each names what it corrects."""
    versions = statements(reads.store, reads.tenant, conversation_id)
    if not versions:
        conversations.look_for(reads.store, reads.tenant, conversation_id)  # says so if there is none at all
        raise NotFound(f"conversation {conversation_id!r} is not sealed yet; POST …/seal does it now")
    shown = [asdict(one) for one in versions]
    return StatementWithVersions.model_validate({**shown[0], "versions": shown})


@router.post("/v1/conversations/{conversation_id}/seal")
async def seal_conversation(
    conversation_id: ConversationId, reads: Reads, services: AppServices, parts: Parts
) -> SealedStatement:
    """Seals it as it stands now; the statement as it is if nothing has changed since."""
    await asyncio.to_thread(_everything_is_in, services)
    sealed: Statement = await parts.sealer.seal(reads.tenant, conversation_id)
    await asyncio.to_thread(_everything_is_in, services)
    return SealedStatement.model_validate(asdict(sealed))


def _everything_is_in(services: Services) -> None:
    """What was emitted or acknowledged until now is in the books. Raises StoreError."""
    services.telemetry.flush(only="books")
    if not services.ingest.flush(_FLUSH_S):
        raise StoreError(f"what was received could not be loaded within {_FLUSH_S:.0f} s; try again")
    services.ledger.settler.settle_now()


def _why(versions: list[Statement]) -> str:
    if not versions:
        return "the conversation is not sealed yet"
    return versions[0].analysis.removeprefix("none: ")
