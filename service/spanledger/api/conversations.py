"""Messages and conversations: `/v1/messages/…`, `/v1/conversations…` (reading)."""

from typing import Annotated

from fastapi import APIRouter, Query

from spanledger.api.freshness import ConversationAnswer, FreshReads, MessageAnswer
from spanledger.api.parameters import ConversationId, Cursor, MessageId, OfUser, Window, limit
from spanledger.api.reader import Reads
from spanledger.api.replies import usage_of_calls
from spanledger.errors import NotFound
from spanledger.evaluations.recent import Answered
from spanledger.stats import conversations as stats
from spanledger.stats.contents import Contents, contents
from spanledger.stats.times import format_time

router = APIRouter(tags=["conversations"])


@router.get("/v1/messages/{message_id}")
def get_message(message_id: MessageId, reads: FreshReads) -> MessageAnswer:
    """One message with its tokens and cost."""
    try:
        found = reads.soon(lambda: stats.message(reads.store, reads.tenant, message_id))
    except NotFound:
        answered = reads.services.platform.recent.answered(reads.tenant, message_id)
        if answered is None:
            raise
        return reads.dated(MessageAnswer, _as_replied(answered), state="pending")
    return reads.dated(MessageAnswer, found, state="settled")


@router.get("/v1/conversations")
def list_conversations(
    reads: FreshReads,
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
    reads: FreshReads,
    limit: Annotated[int, limit(10_000)] = 1000,
    cursor: Cursor = "",
) -> stats.MessagePage:
    """The messages of a conversation in time order."""
    return reads.soon(lambda: stats.messages(reads.store, reads.tenant, conversation_id, limit, cursor))


@router.get("/v1/conversations/{conversation_id}")
def get_conversation(conversation_id: ConversationId, reads: FreshReads) -> ConversationAnswer:
    """One conversation with its totals."""
    found = reads.soon(lambda: stats.conversation(reads.store, reads.tenant, conversation_id))
    return reads.dated(ConversationAnswer, found)


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


def _as_replied(answered: Answered) -> stats.Message:
    """A message as its reply told of it."""
    order, about = answered.order, answered.about
    return stats.Message(
        message_id=about.message_id,
        conversation_id=about.conversation_id,
        user_id=about.user_id,
        trace_id=about.trace_id,
        correlation_id="",
        started_at=format_time(answered.started_ns),
        duration_ms=(answered.ended_ns - answered.started_ns) / 1e6,
        service="",
        workflow=order.workflow,
        agent=order.agent,
        providers=sorted({record.provider for record in answered.records}),
        models=sorted({record.model for record in answered.records}),
        tools=[],
        status="error" if answered.failed else "ok",
        error_type="",
        usage=usage_of_calls(answered.records),
    )
