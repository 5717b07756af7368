"""The response cache: `/v1/cache`."""

from fastapi import APIRouter, Request

from spanledger.api.reader import Reads, only
from spanledger.stats import caches
from spanledger.stats.times import window

router = APIRouter(tags=["cache"])


@router.get("/v1/cache")
def cache(request: Request, reads: Reads) -> caches.CacheReport:
    """Hits, misses, and the tokens and USD that the hits saved, in `[from, to)`."""
    only(request, ("from", "to"))
    asked = request.query_params
    return caches.cache_report(reads.store, reads.tenant, window(asked.get("from"), asked.get("to")))
