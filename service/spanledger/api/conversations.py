"""Messages and conversations: `/v1/messages/…`, `/v1/conversations…` (reading)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from spanledger.api.filters import MessageFilter
from spanledger.api.freshness import ConversationAnswer, FreshReader, FreshReads, MessageAnswer
from spanledger.api.listing import ListingRoute
from spanledger.api.parameters import ConversationId, Cursor, MessageId, limit
from spanledger.api.reader import Reader, Reads
from spanledger.api.replies import usage_of_calls
from spanledger.errors import NotFound
from spanledger.evaluations.recent import RecentMessage
from spanledger.stats import conversations as stats
from spanledger.stats import finding, found_conversations
from spanledger.stats.contents import Contents, contents
from spanledger.stats.contents import exchange as exchange_of_spans
from spanledger.stats.filters import Filter
from spanledger.stats.times import format_time
from spanledger.workflows.memory import is_answered, of_message, text_of

router = APIRouter(tags=["conversations"], route_class=ListingRoute)


@router.get("/v1/messages/{message_id}")
async def get_message(message_id: MessageId, reads: FreshReads) -> MessageAnswer:
    """One message, by its id or that of the response that answered it (`chatcmpl-…`), with its tokens and cost, and
    with its words where they are kept."""
    recent = reads.services.platform.recent
    known = recent.find(reads.tenant, message_id)
    name = known.message_id if known is not None else message_id
    try:
        row = await asyncio.to_thread(reads.soon, lambda: _row_named(reads, name))
    except NotFound:
        answered = recent.answered(reads.tenant, name)
        if answered is None:
            raise
        found, state = _as_replied(answered), "pending"
        question, content = await _words(reads, found.conversation_id, found.message_id, found.trace_id)
    else:
        state = "settled"
        shown, (question, content) = await asyncio.gather(
            asyncio.to_thread(stats.shown, reads.store, reads.tenant, [row]),
            _words(reads, row["conversation_id"], row["message_id"], row["trace_id"]),
        )
        found = shown[0]
    return reads.dated(MessageAnswer, found, state=state, question=question, content=content)


def message_named(reads: Reader, name: str) -> stats.Message:
    """By its id or by that of the response that answered it. Raises NotFound."""
    return stats.shown(reads.store, reads.tenant, [_row_named(reads, name)])[0]


def _row_named(reads: Reader, name: str) -> Mapping[str, Any]:
    try:
        return stats.message_row(reads.store, reads.tenant, name)
    except NotFound:
        message_id = finding.message_of_response(reads.store, reads.tenant, name)
        if message_id is None:
            raise
        return stats.message_row(reads.store, reads.tenant, message_id)


async def _words(
    reads: FreshReader, conversation_id: str | None, message_id: str, trace_id: str | None
) -> tuple[str | None, str | None]:
    """Question and answer: from the history that we keep of our own conversations, else from the spans."""
    if conversation_id:
        remembered = await reads.services.runner.remembered(reads.tenant, conversation_id)
        if exchange := of_message(remembered, message_id):
            return text_of(exchange[0]), text_of(exchange[-1]) if is_answered(exchange) else None
    if not trace_id:
        return None, None
    return await asyncio.to_thread(exchange_of_spans, reads.store, reads.tenant, trace_id)


class ConversationsQuery(MessageFilter):
    """Conversations with a message that fits. `user_id`: the same as `user`."""

    user_id: str = Field("", max_length=256, description="only what belongs to this user")
    limit: int = Field(50, ge=1, le=1000, description="how many items at most")
    cursor: str = Field("", max_length=4096, description="next_cursor of the page before")
    totals: bool = Field(False, description="whether to add up all messages that fit, as `usage` and `count`")

    def conversations(self, request: Request) -> Filter:
        """Raises BadRequest."""
        found = self.filter(request)
        users = {"user": [*self.user, self.user_id]} if self.user_id else {}
        return replace(found, equal={**found.equal, **users})


@router.get("/v1/conversations")
def list_conversations(
    request: Request, reads: FreshReads, query: Annotated[ConversationsQuery, Query()]
) -> stats.ConversationPage:
    """Conversations with a message that fits, the one with the latest such message first; figures are of the whole."""
    wanted = query.conversations(request)
    users = wanted.equal.get("user", [])
    others = {name: values for name, values in wanted.equal.items() if name != "user"}
    if len(users) <= 1 and replace(wanted, equal=others).is_open:
        page = stats.conversations(
            reads.store, reads.tenant, query.window, "".join(users), query.limit, query.cursor or None
        )
    else:
        page = found_conversations.found(reads.store, reads.tenant, wanted, query.limit, query.cursor or None)
    if not query.totals:
        return page
    count, usage = found_conversations.total(reads.store, reads.tenant, wanted)
    return replace(page, usage=usage, count=count)


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
    """The content of the messages of a conversation, if its spans carry content."""
    return contents(reads.store, reads.tenant, conversation_id, limit, cursor or None, cut)


def _as_replied(answered: RecentMessage) -> stats.Message:
    """A message as its reply reported it."""
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
