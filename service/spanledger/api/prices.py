"""Prices, and reconciliation with exports of providers: `/v1/prices`, `/v1/reconcile`."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, RootModel

from spanledger.api.inputs import Text
from spanledger.api.listing import ListingRoute
from spanledger.api.reader import Reads
from spanledger.api.windows import Windowed
from spanledger.stats import price_list, reconciling, times

router = APIRouter(tags=["prices"], route_class=ListingRoute)


class PricesQuery(Windowed):
    """Entries of the price book that holds now. The window says whose calls are counted."""

    q: str = Field("", max_length=256, description="provider/model contains this text")
    provider: str = Field("", max_length=256, description="only this seller")
    at: str | None = Field(None, max_length=64, description="only entries that hold at this time")
    used: bool = Field(False, description="only entries that calls of the window lead to")
    limit: int = Field(100, ge=1, le=10_000, description="how many entries at most")


@router.get("/v1/prices", operation_id="list_prices")
def prices(request: Request, reads: Reads, query: Annotated[PricesQuery, Query()]) -> price_list.PriceList:
    """What models cost: search by name, the history of an entry by its `valid_from`, and the calls that used it."""
    at = times.moment(times.parse_time(query.at, "at")) if query.at else None
    when: datetime | None = at.replace(tzinfo=UTC) if at else None
    book = request.app.state.services.ledger.book
    return price_list.prices(
        reads.store, reads.tenant, book, query.q, query.provider, when, query.used, query.window, query.limit
    )


class UsageExport(BaseModel):
    """A provider's usage or cost export, as the file stands (CSV or JSON)."""

    model_config = ConfigDict(extra="forbid")

    content: Text = Field(min_length=1, max_length=8_000_000)
    name: Text = Field("export", max_length=256, description="what messages call it")
    tolerance: Decimal = Field(Decimal(0), ge=0, le=1, description="share by which a figure may be off")


class Reconciliation(RootModel[dict[str, Any]]):
    """Lines by day and model: matched, differing, missing here or there; totals, notes, what could not be read."""


@router.post("/v1/reconcile", operation_id="check_usage_export")
def reconcile(reads: Reads, export: UsageExport) -> Reconciliation:
    """Compares the books with a usage or cost export of OpenAI or Anthropic, as `spanledger reconcile` does."""
    return Reconciliation(
        reconciling.reconciled(reads.store, reads.tenant, export.content, export.name, export.tolerance)
    )
