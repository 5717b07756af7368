"""The origin of a figure: `/v1/explain`; its comparison with peers: `/v1/explain/compare`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from spanledger.api.reader import Reads
from spanledger.api.schemas.common import Problem
from spanledger.api.windows import Dimensions, Windowed
from spanledger.errors import BadRequest
from spanledger.stats import compare as comparison
from spanledger.stats import explain as stats

router = APIRouter(tags=["explain"])


class ExplainQuery(Dimensions):
    """One of message, trace, span, conversation, user; or any group of /v1/usage, by its dimensions and window."""

    message: str = Field("", max_length=256, description="message id")
    trace: str = Field("", max_length=256, description="trace id")
    span: str = Field("", max_length=256, description="span id")
    limit: int = Field(200, ge=1, le=1000, description="calls on a page")
    cursor: str | None = Field(None, max_length=4096, description="next_cursor of the page before")


@router.get("/v1/explain", operation_id="explain", responses={404: {"model": Problem}})
def explain(request: Request, reads: Reads, query: Annotated[ExplainQuery, Query()]) -> stats.Explanation:
    """The entries and calls behind a figure: spans, attributes read, tokens × rate = amount, price, claim.

    The sum of `entries`, the sum of `calls` and `usage` are equal (with `rest`, where there are several pages).
    """
    subject = stats.Subject(query.message, query.trace, query.span, query.only(), query.window)
    prices = request.app.state.services.ledger.prices
    return stats.explain(reads.store, reads.tenant, prices, subject, query.limit, query.cursor)


class CompareQuery(Windowed):
    """One of message, conversation, user. Without a window: the time around it, for a user its last seven days."""

    message: str = Field("", max_length=256, description="message id")
    conversation: str = Field("", max_length=256, description="conversation id")
    user: str = Field("", max_length=256, description="user id")


@router.get("/v1/explain/compare", operation_id="explain_compare", responses={404: {"model": Problem}})
def compare(request: Request, reads: Reads, query: Annotated[CompareQuery, Query()]) -> comparison.PeerComparison:
    """A message, conversation or user against the median of its peers: the difference as amounts of single factors.

    The amounts of `factors` add up to `difference_usd` exactly.
    """
    named = [(kind, identity) for kind in comparison.KINDS if (identity := getattr(query, kind))]
    if len(named) != 1:
        raise BadRequest(f"name one thing to compare: {', '.join(comparison.KINDS)}")
    prices = request.app.state.services.ledger.prices
    return comparison.compare(reads.store, reads.tenant, prices, *named[0], query.window)
