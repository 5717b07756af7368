"""The audit, re-pricings, answers to SQL."""

from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment, Money, Time

RepricedGroup = TypeVar("RepricedGroup")


class AuditDifference(Answer):
    """`level`: the table that is wrong; `amounts`: what must be added to make it right, or the fields that differ."""

    level: str
    key: dict[str, Any]
    amounts: dict[str, Any]
    note: str


class JoinedCall(Answer):
    """Spans that tell of one call: the one that counts, and the others as (trace id, span id, scope)."""

    tenant: str
    trace_id: str
    span_id: str
    others: list[tuple[str, str, str]]


class AuditResult(Answer):
    """What an audit of a window found; `start` and `end` null: everything, `tenant` null: all tenants. `repaired`: the
    differences were posted."""

    at: Time
    balanced: bool
    differences: int
    spans: int
    start: Time | None
    end: Time | None
    tenant: str | None
    repaired: bool


class AuditReport(Answer):
    """`checked` and `anomalies` count by level and kind; `repaired`: what a repair wrote."""

    model_config = ConfigDict(extra="allow")

    balanced: bool
    start: Annotated[Moment | None, Field(alias="from")]
    end: Annotated[Moment | None, Field(alias="to")]
    checked: dict[str, int]
    difference_count: int
    differences: list[AuditDifference]
    joined_calls: int
    joined: list[JoinedCall]
    anomaly_count: int
    anomalies: dict[str, int]
    repaired: dict[str, int]
    skipped_traces: int


class OperationState(Answer):
    """An operation that goes on: `waiting` for another one to end, or `running`, with what it is at."""

    operation_id: str
    state: Literal["waiting", "running"]
    progress: str
    created_at: Moment


class PriceBookInForce(Answer):
    reprice_id: str
    price_book: str
    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]


class Repriced(Answer):
    """`calls` that are priced again, with their cost and the calls without a price, before and after."""

    calls: int
    old_usd: Money
    new_usd: Money
    difference_usd: Money
    old_unpriced_calls: int
    new_unpriced_calls: int


class RepricedModel(Repriced):
    provider: str
    model: str


class RepricedUser(Repriced):
    tenant: str
    user: str


class RepricedTenant(Repriced):
    tenant: str


class RepricedDay(Repriced):
    """Calls that started on that day, UTC."""

    day: date


class RepricedGroups(Answer, Generic[RepricedGroup]):
    """The groups with the largest differences; `other`: what the rest of `count` groups comes to, if there are more."""

    items: list[RepricedGroup]
    count: int
    other: Repriced | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}s"


class RepricedBy(Answer):
    """The same changes by model, user, tenant and day; each of them adds up to the whole."""

    model: RepricedGroups[RepricedModel]
    user: RepricedGroups[RepricedUser]
    tenant: RepricedGroups[RepricedTenant]
    day: RepricedGroups[RepricedDay]


class Repricing(Repriced):
    """What was posted, or with `dry_run` what would be."""

    reprice_id: str
    price_book: str
    traces: int
    entries: int
    models: list[RepricedModel]
    groups: RepricedBy


class SqlColumn(Answer):
    name: str
    type: str


class SqlAnswer(Answer):
    """ClickHouse's format JSONCompact: `data` has a list of values a row."""

    model_config = ConfigDict(extra="allow")

    meta: list[SqlColumn]
    data: list[list[Any]]
    rows: int
