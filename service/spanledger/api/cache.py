"""The response cache: `/v1/cache`."""

from fastapi import APIRouter

from spanledger.api.parameters import Window
from spanledger.api.reader import Reads
from spanledger.stats import caches

router = APIRouter(tags=["cache"])


@router.get("/v1/cache")
def get_cache(reads: Reads, window: Window) -> caches.CacheReport:
    """Hits, misses, and the tokens and USD that the hits saved, in `[from, to)`."""
    return caches.cache_report(reads.store, reads.tenant, window)
