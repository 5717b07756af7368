"""Search and lists: `/v1/messages`, `/v1/spans`, `/v1/users`, `/v1/tenants`, `/v1/facets`, `/v1/find`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field, RootModel

from spanledger.api.filters import Attributed, MessageFilter, attributes_of
from spanledger.api.listing import ListingRoute
from spanledger.api.reader import Reads, checked_id
from spanledger.api.schemas.common import Problem
from spanledger.api.windows import Windowed, many
from spanledger.errors import Refused
from spanledger.runtime.services import Caller
from spanledger.stats import finding, found_messages, found_spans, owners, span_filters

router = APIRouter(tags=["find"], route_class=ListingRoute)

Limit = Annotated[int, Field(ge=1, le=1000, description="how many items at most")]
CursorText = Annotated[str | None, Field(max_length=4096, description="next_cursor of the page before")]


class MessagesQuery(MessageFilter):
    """A page of messages. `totals`: whether to add up all that fit (`usage`, `count`); `preview`: characters shown of
    the user's question, where content was kept; `ratings`: whether to add how people rated each."""

    sort: Annotated[found_messages.Sort, Field(description="order; `-` is descending")] = "-time"
    limit: Limit = 50
    cursor: CursorText = None
    totals: Annotated[bool, Field(description="whether to add up all that fit")] = True
    preview: Annotated[int, Field(ge=0, le=1000, description="characters of the question, as `previews`")] = 0
    ratings: Annotated[bool, Field(description="whether to add how people rated each message")] = False


class FacetsQuery(MessageFilter):
    """`field`: which fields, several by comma; all without it. `limit`: values of each."""

    field: str = Field("", max_length=1024, description="fields, separated by commas; all without it")
    limit: int = Field(20, ge=1, le=1000, description="how many values of each field at most")


class SpansQuery(Attributed):
    """Spans by what each says itself."""

    trace: list[str] = many("trace")
    span: list[str] = many("span")
    service: list[str] = many("service")
    name: list[str] = many("name")
    scope: list[str] = many("scope")
    role: list[str] = many("inference, embedding, tool, agent, workflow …")
    operation: list[str] = many("operation")
    provider: list[str] = many("provider")
    model: list[str] = many("model")
    status: list[Literal["ok", "error", "unset"]] = many("ok, error or unset")
    error_type: list[str] = many("error type")
    conversation: list[str] = many("conversation")
    message: list[str] = many("message")
    user: list[str] = many("user")
    correlation: list[str] = many("correlation")
    workflow: list[str] = many("workflow")
    agent: list[str] = many("agent")
    tool: list[str] = many("tool")
    prompt: list[str] = many("prompt")
    prompt_version: list[str] = many("prompt version")
    variant: list[str] = many("variant")
    response: list[str] = many("the provider's id of a call")
    min_duration_ms: float | None = Field(None, ge=0, le=1e12, description="took at least so long")
    max_duration_ms: float | None = Field(None, ge=0, le=1e12, description="took at most so long")
    limit: Limit = 50
    cursor: CursorText = None


class UsersQuery(Windowed):
    """`prefix`: users whose id begins so."""

    prefix: str = Field("", max_length=256, description="users whose id begins so")
    sort: Annotated[owners.Sort, Field(description="order; `-` is descending")] = "-cost"
    limit: Limit = 50
    cursor: CursorText = None
    trend: Annotated[bool, Field(description="whether to add the cost of each user by day")] = False


@dataclass(frozen=True)
class FacetValue:
    value: str
    count: int


class Facets(RootModel[dict[str, list[FacetValue]]]):
    """By field, the most frequent value first."""


@router.get("/v1/messages", operation_id="list_messages")
def messages(request: Request, reads: Reads, query: Annotated[MessagesQuery, Query()]) -> found_messages.MessageList:
    """Messages that fit, in any order, with what all of them used."""
    return found_messages.found(
        reads.store,
        reads.tenant,
        query.filter(request),
        query.sort,
        query.limit,
        query.cursor,
        query.totals,
        query.preview,
        query.ratings,
    )


@router.get("/v1/facets", operation_id="list_facets")
def facets(request: Request, reads: Reads, query: Annotated[FacetsQuery, Query()]) -> Facets:
    """Per field the most frequent values among the messages that fit, with exact counts of messages."""
    names = tuple(name.strip() for name in query.field.split(",") if name.strip()) or found_messages.FACETS
    counted = found_messages.facets(reads.store, reads.tenant, query.filter(request), names, query.limit)
    return Facets({name: [FacetValue(*pair) for pair in pairs] for name, pairs in counted.items()})


@router.get("/v1/spans", operation_id="list_spans")
def spans(request: Request, reads: Reads, query: Annotated[SpansQuery, Query()]) -> found_spans.SpanList:
    """Spans that fit, the latest first."""
    wanted = span_filters.SpanFilter(
        window=query.window,
        equal={name: values for name in span_filters.NAMES if (values := getattr(query, name))},
        attributes=attributes_of(request),
        least_ms=query.min_duration_ms,
        most_ms=query.max_duration_ms,
    )
    return found_spans.found(reads.store, reads.tenant, wanted, query.limit, query.cursor)


@router.get("/v1/users", operation_id="list_users")
def users(reads: Reads, query: Annotated[UsersQuery, Query()]) -> owners.UserList:
    """Users with what they used in the window."""
    return owners.users(
        reads.store, reads.tenant, query.window, query.prefix, query.sort, query.limit, query.cursor, query.trend
    )


@router.get("/v1/tenants", operation_id="list_tenants")
def tenants(reads: Reads, principal: Caller, query: Annotated[Windowed, Query()]) -> owners.TenantList:
    """Every tenant with its usage, for the operator of this machine."""
    if not principal.operator:
        raise Refused("/v1/tenants is for who runs this machine")
    return owners.tenants(reads.store, query.window)


@router.get("/v1/find", operation_id="find", responses={404: {"model": Problem}})
def find(
    reads: Reads,
    id: Annotated[str, Query(min_length=1, max_length=256, description="Any id.", examples=["support-42"])],
) -> finding.Found:
    """What an id is (trace, span, message, conversation, user, response, correlation) and where it is shown."""
    return finding.find(reads.store, reads.tenant, checked_id(id, "id"))
