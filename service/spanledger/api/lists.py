"""Finding things: `/v1/messages`, `/v1/spans`, `/v1/users`, `/v1/tenants`, `/v1/facets`, `/v1/find`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from spanledger.api.filters import Attributed, MessageFilter, attributes_of
from spanledger.api.reader import Reads, checked_id
from spanledger.api.windows import Windowed
from spanledger.errors import Refused
from spanledger.runtime.services import Caller
from spanledger.stats import finding, found_messages, found_spans, owners

router = APIRouter(tags=["find"])

Limit = Annotated[int, Field(ge=1, le=1000)]
CursorText = Annotated[str | None, Field(max_length=4096, description="next_cursor of the page before")]


class MessagesQuery(MessageFilter):
    """A page of messages. `totals`: whether to add up all that fit (`usage`, `count`)."""

    sort: found_messages.Sort = "-time"
    limit: Limit = 50
    cursor: CursorText = None
    totals: bool = True


class FacetsQuery(MessageFilter):
    """`field`: which fields, several by comma; all without it. `limit`: values of each."""

    field: str = Field("", max_length=1024)
    limit: int = Field(20, ge=1, le=1000)


class SpansQuery(Attributed):
    """Spans by what each says itself."""

    trace: list[str] = Field([])
    span: list[str] = Field([])
    service: list[str] = Field([])
    name: list[str] = Field([])
    scope: list[str] = Field([])
    role: list[str] = Field([], description="inference, embedding, tool, agent, workflow …")
    operation: list[str] = Field([])
    provider: list[str] = Field([])
    model: list[str] = Field([])
    status: list[str] = Field([], description="ok, error or unset")
    error_type: list[str] = Field([])
    conversation: list[str] = Field([])
    message: list[str] = Field([])
    user: list[str] = Field([])
    correlation: list[str] = Field([])
    workflow: list[str] = Field([])
    agent: list[str] = Field([])
    tool: list[str] = Field([])
    prompt: list[str] = Field([])
    prompt_version: list[str] = Field([])
    variant: list[str] = Field([])
    response: list[str] = Field([], description="the provider's id of a call")
    min_duration_ms: float | None = Field(None, ge=0, le=1e12)
    max_duration_ms: float | None = Field(None, ge=0, le=1e12)
    limit: Limit = 50
    cursor: CursorText = None


class UsersQuery(Windowed):
    """`prefix`: users whose id begins so."""

    prefix: str = Field("", max_length=256)
    sort: owners.Sort = "-cost"
    limit: Limit = 50
    cursor: CursorText = None


@dataclass(frozen=True)
class FacetValue:
    value: str
    count: int


@router.get("/v1/messages", operation_id="list_messages")
def messages(request: Request, reads: Reads, asked: Annotated[MessagesQuery, Query()]) -> found_messages.MessageList:
    """Messages that fit, in any order, with what all of them used."""
    return found_messages.found(
        reads.store, reads.tenant, asked.filter(request), asked.sort, asked.limit, asked.cursor, asked.totals
    )


@router.get("/v1/facets", operation_id="list_facets")
def facets(request: Request, reads: Reads, asked: Annotated[FacetsQuery, Query()]) -> dict[str, list[FacetValue]]:
    """Per field the most frequent values among the messages that fit, with exact counts of messages."""
    names = tuple(name.strip() for name in asked.field.split(",") if name.strip()) or found_messages.FACETS
    counted = found_messages.facets(reads.store, reads.tenant, asked.filter(request), names, asked.limit)
    return {name: [FacetValue(*pair) for pair in pairs] for name, pairs in counted.items()}


@router.get("/v1/spans", operation_id="list_spans")
def spans(request: Request, reads: Reads, asked: Annotated[SpansQuery, Query()]) -> found_spans.SpanList:
    """Spans that fit, the latest first."""
    wanted = found_spans.SpanFilter(
        window=asked.window,
        equal={name: values for name in found_spans.NAMES if (values := getattr(asked, name))},
        attributes=attributes_of(request),
        least_ms=asked.min_duration_ms,
        most_ms=asked.max_duration_ms,
    )
    return found_spans.found(reads.store, reads.tenant, wanted, asked.limit, asked.cursor)


@router.get("/v1/users", operation_id="list_users")
def users(reads: Reads, asked: Annotated[UsersQuery, Query()]) -> owners.UserList:
    """Users with what they used in the window."""
    return owners.users(reads.store, reads.tenant, asked.window, asked.prefix, asked.sort, asked.limit, asked.cursor)


@router.get("/v1/tenants", operation_id="list_tenants")
def tenants(reads: Reads, principal: Caller, asked: Annotated[Windowed, Query()]) -> owners.TenantList:
    """Every tenant with what it used: for who runs this machine."""
    if not principal.operator:
        raise Refused("/v1/tenants is for who runs this machine")
    return owners.tenants(reads.store, asked.window)


@router.get("/v1/find", operation_id="find")
def find(reads: Reads, id: Annotated[str, Query(min_length=1, max_length=256)]) -> finding.Found:
    """What an id is (trace, span, message, conversation, user, response, correlation) and where it is shown."""
    return finding.find(reads.store, reads.tenant, checked_id(id, "id"))
