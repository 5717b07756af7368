"""Messages and conversations: `/v1/messages/…`, `/v1/conversations…` (reading)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from spanledger.api.reader import Reads, checked_id, only, whole_number
from spanledger.stats import conversations as stats
from spanledger.stats.contents import Contents, contents
from spanledger.stats.times import window

router = APIRouter(tags=["conversations"])


@router.get("/v1/messages/{message_id}")
def message(request: Request, message_id: str, reads: Reads) -> stats.Message:
    """One message with its tokens and cost."""
    only(request, ())
    return stats.message(reads.store, reads.tenant, checked_id(message_id, "message_id"))


@router.get("/v1/conversations")
def conversations(request: Request, reads: Reads) -> stats.ConversationPage:
    """Conversations with a message in `[from, to)`, latest activity first; `next_cursor` leads to the next page."""
    only(request, ("user_id", "from", "to", "limit", "cursor"))
    asked = request.query_params
    return stats.conversations(
        reads.store,
        reads.tenant,
        window(asked.get("from"), asked.get("to")),
        asked.get("user_id", ""),
        whole_number(request, "limit", 50, 1, 1000),
        asked.get("cursor"),
    )


@router.get("/v1/conversations/{conversation_id}/messages")
def messages(request: Request, conversation_id: str, reads: Reads) -> stats.MessagePage:
    """The messages of a conversation in time order."""
    only(request, ("limit", "cursor"))
    return stats.messages(
        reads.store,
        reads.tenant,
        checked_id(conversation_id, "conversation_id"),
        whole_number(request, "limit", 1000, 1, 10_000),
        request.query_params.get("cursor"),
    )


@router.get("/v1/conversations/{conversation_id}")
def conversation(request: Request, conversation_id: str, reads: Reads) -> stats.Conversation:
    """One conversation with its totals."""
    only(request, ())
    return stats.conversation(reads.store, reads.tenant, checked_id(conversation_id, "conversation_id"))


@router.get("/v1/conversations/{conversation_id}/content", operation_id="getConversationContent")
def content(
    request: Request,
    conversation_id: str,
    reads: Reads,
    limit: Annotated[int, Query(ge=1, le=500, description="messages on a page")] = 100,
    cursor: Annotated[str | None, Query(max_length=4096, description="next_cursor of the page before")] = None,
    cut: Annotated[int, Query(ge=0, le=1_000_000, description="characters shown of a text; 0: all")] = 4000,
) -> Contents:
    """What was said in the messages of a conversation, where its spans carry content."""
    only(request, ("limit", "cursor", "cut"))
    return contents(reads.store, reads.tenant, checked_id(conversation_id, "conversation_id"), limit, cursor, cut)
