"""Usage: `/v1/users/{id}/usage`, `/v1/usage`, `/v1/realtime`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from spanledger.api.freshness import BreakdownAnswer, FreshReads, UserUsageAnswer
from spanledger.api.listing import ListingRoute
from spanledger.api.parameters import FILTER_ALIASES, Filters, LongBucket, TimeZone, UserId, Window
from spanledger.runtime.services import Services, services_of
from spanledger.stats import breakdown as stats
from spanledger.stats import realtime as live
from spanledger.stats.savings import CacheSavings, savings

router = APIRouter(tags=["usage"], route_class=ListingRoute)

GroupBy = Annotated[
    list[str],
    Query(
        default_factory=list,
        max_length=32,
        description=f"Dimensions, separated by commas or repeated: {', '.join(stats.DIMENSIONS)}.",
        examples=[["model,user"]],
    ),
]


@router.get("/v1/users/{user_id}/usage")
def get_user_usage(
    user_id: UserId,
    reads: FreshReads,
    window: Window,
    bucket: Annotated[Literal["hour", "day"], Query(description="Length of the buckets of time.")] = "day",
) -> UserUsageAnswer:
    """Usage of one user in `[from, to)`, by hour or day; zeros for an unknown user."""
    return reads.dated(UserUsageAnswer, stats.user_usage(reads.store, reads.tenant, user_id, window, bucket))


@router.get("/v1/usage")
def get_usage(
    reads: FreshReads,
    window: Window,
    filters: Filters,
    group_by: GroupBy,
    bucket: LongBucket = None,
    limit: Annotated[int, Query(ge=1, le=stats.MAX_GROUPS, description="How many groups at most.")] = 10_000,
    top: Annotated[
        int | None, Query(ge=1, le=10_000, description="So many groups by themselves, all others as `other`.")
    ] = None,
    series: Annotated[
        int,
        Query(ge=0, le=20, description="So many of the dearest groups with `buckets` of their own; needs `bucket`."),
    ] = 0,
    tz: TimeZone = "UTC",
    compare: Annotated[
        Literal["previous"] | None, Query(description="`previous`: also of the window of equal length before.")
    ] = None,
) -> BreakdownAnswer:
    """Usage in `[from, to)`, grouped by dimensions (`group_by=a,b`) and filtered by any of them (`model=…`)."""
    parameters: dict[str, Any] = {
        "group_by": _names(group_by),
        "only": filters,
        "bucket": bucket,
        "limit": limit,
        "tz": tz,
        "top": top,
        "series": series,
    }
    ask = stats.with_previous if compare else stats.breakdown
    return reads.dated(BreakdownAnswer, ask(reads.store, reads.tenant, window, **parameters))


@router.get("/v1/usage/cache-savings")
def get_cache_savings(
    reads: FreshReads, window: Window, filters: Filters, services: Annotated[Services, Depends(services_of)]
) -> CacheSavings:
    """What the caches of providers saved in `[from, to)`, by provider and model."""
    return savings(reads.store, reads.tenant, services.ledger.prices.lookup, window, filters)


@router.get("/v1/realtime")
def get_realtime(
    reads: FreshReads,
    services: Annotated[Services, Depends(services_of)],
    window: Annotated[int, Query(ge=1, le=86_400, description="Seconds up to now.", examples=[60])] = 60,
) -> live.Realtime:
    """What ended in the last `window` seconds."""
    return live.realtime(reads.store, reads.tenant, window, services.in_flight(reads.tenant))


def _names(texts: list[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(FILTER_ALIASES.get(name, name) for name in names))
