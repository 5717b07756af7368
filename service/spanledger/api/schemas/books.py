"""The audit, re-pricings, answers to SQL."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment, Money


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


class RepricedModel(Answer):
    provider: str
    model: str
    calls: int
    old_usd: Money
    new_usd: Money


class Repricing(Answer):
    reprice_id: str
    price_book: str
    traces: int
    calls: int
    entries: int
    old_usd: Money
    new_usd: Money
    difference_usd: Money
    models: list[RepricedModel]


class SqlColumn(Answer):
    name: str
    type: str


class SqlAnswer(Answer):
    """ClickHouse's format JSONCompact: `data` has a list of values a row."""

    model_config = ConfigDict(extra="allow")

    meta: list[SqlColumn]
    data: list[list[Any]]
    rows: int
