"""Usage: `/v1/users/{id}/usage`, `/v1/usage`, `/v1/realtime`."""

from fastapi import APIRouter, Request

from spanledger.api.reader import Reads, checked_id, only, whole_number
from spanledger.errors import BadRequest
from spanledger.runtime.services import services_of
from spanledger.stats import breakdown as stats
from spanledger.stats import realtime as live
from spanledger.stats.times import window

router = APIRouter(tags=["usage"])

_ALIASES = {"user_id": "user", "conversation_id": "conversation"}


@router.get("/v1/users/{user_id}/usage")
def user_usage(request: Request, user_id: str, reads: Reads) -> stats.UserUsage:
    """What one user used in `[from, to)`, by hour or day; zeros for a user nobody has seen."""
    only(request, ("from", "to", "bucket"))
    asked = request.query_params
    bucket = asked.get("bucket") or "day"
    if bucket not in {"hour", "day"}:
        raise BadRequest(f"bucket={bucket!r} is unknown here; it can be hour or day")
    span = window(asked.get("from"), asked.get("to"))
    return stats.user_usage(reads.store, reads.tenant, checked_id(user_id, "user_id"), span, bucket)


@router.get("/v1/usage")
def usage(request: Request, reads: Reads) -> stats.Breakdown:
    """Usage in `[from, to)`, grouped by dimensions (`group_by=a,b`) and filtered by any of them (`model=…`)."""
    only(request, ("from", "to", "bucket", "group_by", "limit", *stats.DIMENSIONS, *_ALIASES))
    asked = request.query_params
    filters: dict[str, list[str]] = {}
    for name, value in asked.multi_items():
        dimension = _ALIASES.get(name, name)
        if dimension in stats.DIMENSIONS:
            filters.setdefault(dimension, []).append(value)
    return stats.breakdown(
        reads.store,
        reads.tenant,
        window(asked.get("from"), asked.get("to")),
        _group_by(asked.getlist("group_by")),
        filters,
        asked.get("bucket"),
        whole_number(request, "limit", 10_000, 1, stats.MAX_GROUPS),
    )


@router.get("/v1/realtime")
def realtime(request: Request, reads: Reads) -> live.Realtime:
    """What ended in the last `window` seconds."""
    only(request, ("window",))
    seconds = whole_number(request, "window", 60, 1, 86_400)
    return live.realtime(reads.store, reads.tenant, seconds, services_of(request).in_flight(reads.tenant))


def _group_by(texts: list[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(_ALIASES.get(name, name) for name in names))
