"""Alert rules over the books and their history: `/v1/alerts`."""

from typing import Annotated

from fastapi import APIRouter

from spanledger.api.parameters import Window, limit
from spanledger.api.reader import Reads
from spanledger.stats import alerts as stats

router = APIRouter(tags=["limits"])


@router.get("/v1/alerts")
def list_alerts(reads: Reads, window: Window, limit: Annotated[int, limit(1000)] = 100) -> stats.Alerts:
    """The alert rules, and the windows of `[from, to)` in which they fired, latest first."""
    return stats.alerts(reads.store, reads.tenant, window, limit)
