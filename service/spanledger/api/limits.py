"""Limits and budgets: `/v1/limits`, with what is used of each."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from spanledger.access.access import Access
from spanledger.access.accounts import MINUTE, Period, period
from spanledger.access.limits import KIND, Limit, Measure, body_of, limit_of
from spanledger.api.reader import Reads, checked_id, only
from spanledger.errors import NotFound
from spanledger.runtime.services import Caller, Services, services_of
from spanledger.stats.breakdown import breakdown
from spanledger.stats.consumption import Used
from spanledger.stats.times import SECOND, Window
from spanledger.stats.usage import decimal_text

router = APIRouter(tags=["limits"])

MAX_SUBJECTS = 20  # of a pattern: those that used most this month


class NewLimit(BaseModel):
    """At least one amount. `match`: a name, or a pattern like `*` or `team-*`; each subject has it all for itself."""

    model_config = ConfigDict(extra="forbid")
    scope: str
    match: str = "*"
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    action: str = "block"


def _access(services: Annotated[Services, Depends(services_of)]) -> Access:
    access: Access = services.platform.access  # type: ignore[union-attr]
    return access


Controls = Annotated[Access, Depends(_access)]


@router.get("/v1/limits")
async def listed(request: Request, reads: Reads, access: Controls) -> dict[str, Any]:
    """All limits of the tenant, then those that were set for it, with what is used of them now."""
    only(request, ())
    limits = [*access.limits.of_tenant(reads.tenant), *access.limits.on_tenant(reads.tenant)]
    return {"items": [await _described(access, reads, limit) for limit in limits]}


@router.get("/v1/limits/{name}")
async def one(request: Request, name: str, reads: Reads, access: Controls) -> dict[str, Any]:
    """One limit with what is used of it."""
    only(request, ())
    found = [limit for limit in access.limits.of_tenant(reads.tenant) if limit.name == name]
    if not found:
        raise NotFound(f"there is no limit {name[:100]!r}")
    return await _described(access, reads, found[0])


@router.put("/v1/limits/{name}")
def put(name: str, wish: NewLimit, services: Annotated[Services, Depends(services_of)], principal: Caller) -> Any:
    """Sets a limit; it holds from the next call on."""
    registry = services.platform.registry  # type: ignore[union-attr]
    body = body_of(wish.model_dump(exclude_none=True))
    entry = registry.put(principal.tenant, KIND, checked_id(name, "name"), body, by=principal.key_id)
    return limit_of(entry).shown()


@router.delete("/v1/limits/{name}")
def remove(name: str, services: Annotated[Services, Depends(services_of)], principal: Caller) -> dict[str, Any]:
    """Takes a limit away; its versions stay readable in the audit log."""
    registry = services.platform.registry  # type: ignore[union-attr]
    if not registry.remove(principal.tenant, KIND, name, by=principal.key_id):
        raise NotFound(f"there is no limit {name[:100]!r}")
    return {"name": name, "removed": True}


async def _described(access: Access, reads: Reads, limit: Limit) -> dict[str, Any]:
    subjects = await _subjects(access, reads, limit)
    return {
        **limit.shown(),
        "set_by": "tenant" if limit.tenant == reads.tenant else "operator",
        "usage": [await _usage(access, reads.tenant, limit, subject) for subject in subjects],
    }


async def _subjects(access: Access, reads: Reads, limit: Limit) -> list[str]:
    """The name that a limit is for, or the subjects of its pattern that used most this month."""
    if limit.scope == "tenant":
        return [reads.tenant] if limit.subject_fits(reads.tenant) else []
    if not any(character in limit.match for character in "*?["):
        return [limit.match]
    if limit.scope == "key":
        names: Iterable[str] = (key.key_id for key in access.ring.list(reads.tenant) if key.revoked_at is None)
    else:
        month = period(access.gate.now()).month
        since = Window(start=int(month.timestamp()) * SECOND)
        found = await asyncio.to_thread(breakdown, reads.store, reads.tenant, since, group_by=[limit.scope], limit=1000)
        booked = (group[limit.scope] for group in found.groups)
        names = dict.fromkeys([*booked, *access.gate.unsettled(reads.tenant, limit.scope)])
    return [name for name in names if limit.subject_fits(name)][:MAX_SUBJECTS]


async def _usage(access: Access, tenant: str, limit: Limit, subject: str) -> dict[str, Any]:
    """Of one subject: per amount what is used, its share, and the share at the end of the period if it goes on so."""
    used, rate, now = await access.gate.used(access.gate.account(tenant, limit.scope, subject))
    at = access.gate.now()
    said: dict[str, Any] = {"subject": subject, "unpriced_calls": used.unpriced_month}
    for measure, allowed in limit.amounts.items():
        amount, start, end = _measured(measure, used, rate, now, at)
        share = float(amount / allowed) if allowed else None
        passed = (at - start) / (end - start)
        said[measure] = {
            "used": decimal_text(amount) if measure.startswith("usd") else int(amount),
            "allowed": decimal_text(allowed) if measure.startswith("usd") else int(allowed),
            "share": share,
            "burn_rate": round(share / passed, 3) if share is not None and passed > 0 else None,
            "reset_at": end.isoformat().replace("+00:00", "Z"),
        }
    return said


def _measured(measure: Measure, used: Used, rate: int, now: Period, at: datetime) -> tuple[Decimal, datetime, datetime]:
    """What is used, and from when to when."""
    match measure:
        case "requests_per_minute":
            return Decimal(rate), at - MINUTE, at
        case "tokens_per_day":
            return Decimal(used.tokens_day), now.day, now.next_day
        case "usd_per_day":
            return used.usd_day, now.day, now.next_day
        case "usd_per_month":
            return used.usd_month, now.month, now.next_month
