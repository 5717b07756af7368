"""Messages and conversations: `/v1/messages/…`, `/v1/conversations…` (reading)."""

from typing import Annotated

from fastapi import APIRouter, Query

from spanledger.api.parameters import ConversationId, Cursor, MessageId, OfUser, Window, limit
from spanledger.api.reader import Reads
from spanledger.stats import conversations as stats
from spanledger.stats.contents import Contents, contents

router = APIRouter(tags=["conversations"])


@router.get("/v1/messages/{message_id}")
def get_message(message_id: MessageId, reads: Reads) -> stats.Message:
    """One message with its tokens and cost."""
    return stats.message(reads.store, reads.tenant, message_id)


@router.get("/v1/conversations")
def list_conversations(
    reads: Reads,
    window: Window,
    user_id: OfUser = "",
    limit: Annotated[int, limit(1000)] = 50,
    cursor: Cursor = "",
) -> stats.ConversationPage:
    """Conversations with a message in `[from, to)`, latest activity first; `next_cursor` leads to the next page."""
    return stats.conversations(reads.store, reads.tenant, window, user_id, limit, cursor)


@router.get("/v1/conversations/{conversation_id}/messages")
def list_conversation_messages(
    conversation_id: ConversationId,
    reads: Reads,
    limit: Annotated[int, limit(10_000)] = 1000,
    cursor: Cursor = "",
) -> stats.MessagePage:
    """The messages of a conversation in time order."""
    return stats.messages(reads.store, reads.tenant, conversation_id, limit, cursor)


@router.get("/v1/conversations/{conversation_id}")
def get_conversation(conversation_id: ConversationId, reads: Reads) -> stats.Conversation:
    """One conversation with its totals."""
    return stats.conversation(reads.store, reads.tenant, conversation_id)


@router.get("/v1/conversations/{conversation_id}/content")
def get_conversation_content(
    conversation_id: ConversationId,
    reads: Reads,
    limit: Annotated[int, limit(500)] = 100,
    cursor: Cursor = "",
    cut: Annotated[int, Query(ge=0, le=1_000_000, description="Characters shown of a text; 0: all.")] = 4000,
) -> Contents:
    """What was said in the messages of a conversation, where its spans carry content."""
    return contents(reads.store, reads.tenant, conversation_id, limit, cursor or None, cut)
