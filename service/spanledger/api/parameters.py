"""Parameters that several routes have, declared once: name, type, bounds, meaning and an example of each."""

import inspect
from typing import Annotated, Any, Literal, get_args, get_origin

from fastapi import Depends, Path, Query, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes

from spanledger.api.inputs import MAX_ID_CHARS
from spanledger.api.windows import Outcome
from spanledger.errors import BadRequest
from spanledger.stats import times
from spanledger.stats.breakdown import DIMENSIONS

FILTER_ALIASES = {"user_id": "user", "conversation_id": "conversation"}

_TIME_SCHEMA = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": r"^(now|-\d{1,6}[smhdw])$"},
    ]
}


def _id(meaning: str, example: str) -> object:
    return Path(min_length=1, max_length=MAX_ID_CHARS, description=meaning, examples=[example])


MessageId = Annotated[str, _id("The id of a message.", "msg-1")]
ConversationId = Annotated[str, _id("The id of a conversation.", "support-42")]
UserId = Annotated[str, _id("The id of a user.", "ann")]
TraceId = Annotated[str, _id("The id of a trace: 32 hexadecimal digits.", "4bf92f3577b34da6a3ce929d0e0e4736")]
SpanId = Annotated[str, _id("The id of a span: 16 hexadecimal digits.", "00f067aa0ba902b7")]
CorrelationId = Annotated[str, _id("The correlation id of a request.", "order-7")]
JobId = Annotated[str, _id("The id of a job.", "job-1")]
DocumentId = Annotated[str, _id("The id of a document.", "doc-1")]
KeyId = Annotated[str, _id("The id of a key; not its secret text.", "key_1")]
ToolName = Annotated[str, _id("The name of a tool.", "calculator")]
AgentName = Annotated[str, _id("The name of an agent.", "support")]
LimitName = Annotated[str, _id("The name of a limit.", "team-a")]


def _text(meaning: str, example: str) -> object:
    return Query(min_length=1, max_length=MAX_ID_CHARS, description=meaning, examples=[example])


OfUser = Annotated[str, _text("Only what belongs to this user.", "ann")]
OfConversation = Annotated[str, _text("Only what belongs to this conversation.", "support-42")]
OfTrace = Annotated[str, _text("Only what belongs to this trace.", "4bf92f3577b34da6a3ce929d0e0e4736")]
Cursor = Annotated[
    str, Query(max_length=2048, description="`next_cursor` of the page before; without it the first page.")
]
Bucket = Annotated[
    Literal["minute", "hour", "day"] | None,
    Query(description="Length of the buckets of time; without it there are none."),
]
LongBucket = Annotated[
    Literal["minute", "hour", "day", "week", "month"] | None,
    Query(description="Length of the buckets of time; weeks begin on Monday; without it there are none."),
]
TimeZone = Annotated[
    str,
    Query(
        min_length=1,
        max_length=64,
        description="Time zone whose days, weeks and months the buckets are.",
        examples=["Europe/Berlin"],
    ),
]


def limit(most: int) -> object:
    """How many items a page may have: `Annotated[int, limit(1000)] = 50`."""
    return Query(ge=1, le=most, description="How many items at most.", examples=[50])


def _window(
    start: Annotated[
        str,
        Query(
            alias="from",
            max_length=64,
            description="First moment of the window: RFC 3339, a date, or back from now (`-24h`); without it no bound.",
            examples=["2026-11-21T00:00:00Z"],
            json_schema_extra=_TIME_SCHEMA,
        ),
    ] = "",
    end: Annotated[
        str,
        Query(
            alias="to",
            max_length=64,
            description="The window ends before this moment; without it there is no bound.",
            examples=["2026-11-22T00:00:00Z"],
            json_schema_extra=_TIME_SCHEMA,
        ),
    ] = "",
) -> times.Window:
    return times.window(start, end)


Window = Annotated[times.Window, Depends(_window)]


def _takes_several(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_takes_several, get_args(annotation)))


def _declared(request: Request) -> tuple[dict[str, bool], bool]:
    """The route's parameters in the query and whether each may be repeated; and whether a model of parameters has
    them, which says itself what else it takes."""
    fields = [(one.alias, one.field_info) for one in get_flat_params(request.scope["route"].dependant)]
    places = {name: getattr(info, "in_", None) for name, info in fields}  # a model's parameters have none
    of_query = (None, ParamTypes.query)
    known = {name: _takes_several(info.annotation) for name, info in fields if places[name] in of_query}
    return known, None in places.values()


async def refuse_unclear(request: Request) -> None:
    """Dependency of every route: a filter that is misspelt or given again must not look like a total.

    Raises BadRequest. Pages of the console keep their own state in the address; what they pass on is checked by the
    route that gets it.
    """
    if not request.query_params or getattr(request.state, "page", False):
        return
    known, is_model = _declared(request)
    for name in request.query_params:
        if not is_model and name not in known:
            raise BadRequest(f"parameter {name!r} is unknown here; these are: {', '.join(known) or 'none'}")
        times_given = len(request.query_params.getlist(name))
        if times_given > 1 and not known.get(name, True):
            raise BadRequest(f"parameter {name!r} can be given once here, not {times_given} times")


def _filters(**given: list[str]) -> dict[str, list[str]]:
    """Dimension → allowed values; an empty value stands for calls without one."""
    allowed: dict[str, list[str]] = {}
    for name, values in given.items():
        if values:
            allowed.setdefault(FILTER_ALIASES.get(name, name), []).extend(values)
    return allowed


def _filter(dimension: str) -> inspect.Parameter:
    meaning = f"Only calls of this {dimension}, repeated: of any of these; empty: calls without one."
    values: type = list[Outcome] if dimension == "status" else list[str]
    annotation = Annotated[values, Query(max_length=1000, description=meaning)]  # type: ignore[valid-type]
    return inspect.Parameter(dimension, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=[])


# FastAPI reads the parameters of a dependency from its signature: one for each dimension there is.
_filters.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [_filter(name) for name in (*DIMENSIONS, *FILTER_ALIASES)]
)
Filters = Annotated[dict[str, list[str]], Depends(_filters)]
