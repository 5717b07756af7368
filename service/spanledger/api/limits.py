"""Limits and budgets with their usage: `/v1/limits`."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from spanledger.access.access import Access
from spanledger.access.accounts import MINUTE, Period, period
from spanledger.access.limits import KIND, Action, Limit, Measure, Scope, body_of, limit_of
from spanledger.api.inputs import Text
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.parameters import LimitName
from spanledger.api.reader import Reads
from spanledger.api.schemas import access as schemas
from spanledger.api.schemas.access import LimitWithUsage
from spanledger.api.schemas.common import NO_CONTENT, Body, Items
from spanledger.errors import NotFound
from spanledger.runtime.services import Caller
from spanledger.stats.breakdown import breakdown
from spanledger.stats.consumption import Used
from spanledger.stats.fields import rfc3339
from spanledger.stats.times import SECOND, Window
from spanledger.stats.usage import decimal_text

router = APIRouter(tags=["limits"], route_class=ListingRoute)

MAX_SUBJECTS = 20  # of a pattern: those that used most this month


Count = Annotated[int, Field(ge=0, le=10**15)]
Usd = Annotated[Decimal, Field(ge=0, le=10**15, max_digits=40)]


class NewLimit(Body):
    """At least one amount. `match`: a name, or a pattern like `*` or `team-*`; each subject has it all for itself."""

    scope: Scope
    match: Annotated[Text, Field(min_length=1, max_length=256)] = "*"
    requests_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    usd_per_day: Usd | None = None
    usd_per_month: Usd | None = None
    action: Action = "block"


def _access(parts: Parts) -> Access:
    return parts.access


Controls = Annotated[Access, Depends(_access)]


@router.get("/v1/limits")
async def list_limits(reads: Reads, access: Controls) -> Items[LimitWithUsage]:
    """All limits of the tenant, then those that were set for it, with what is used of them now."""
    limits = [*access.limits.of_tenant(reads.tenant), *access.limits.on_tenant(reads.tenant)]
    return Items(items=[await _described(access, reads, limit) for limit in limits])


@router.get("/v1/limits/{name}")
async def get_limit(name: LimitName, reads: Reads, access: Controls) -> LimitWithUsage:
    """One limit with what is used of it."""
    found = [limit for limit in access.limits.of_tenant(reads.tenant) if limit.name == name]
    if not found:
        raise NotFound(f"there is no limit {name[:100]!r}")
    return await _described(access, reads, found[0])


@router.put("/v1/limits/{name}")
def put_limit(name: LimitName, new: NewLimit, parts: Parts, principal: Caller) -> schemas.Limit:
    """Sets a limit; it holds from the next call on."""
    body = body_of(new.model_dump(exclude_none=True))
    keys = (key.key_id for key in parts.access.ring.list(principal.tenant))
    parts.references.check_limit(new.scope, new.match, keys)
    entry = parts.registry.put(principal.tenant, KIND, name, body, by=principal.key_id)
    return schemas.Limit.model_validate(limit_of(entry).shown())


@router.delete("/v1/limits/{name}", **NO_CONTENT)
def delete_limit(name: LimitName, parts: Parts, principal: Caller) -> None:
    """Takes a limit away; its versions stay readable in the audit log."""
    if not parts.registry.remove(principal.tenant, KIND, name, by=principal.key_id):
        raise NotFound(f"there is no limit {name[:100]!r}")


async def _described(access: Access, reads: Reads, limit: Limit) -> LimitWithUsage:
    subjects = await _subjects(access, reads, limit)
    return LimitWithUsage.model_validate(
        {
            **limit.shown(),
            "set_by": "tenant" if limit.tenant == reads.tenant else "operator",
            "usage": [await _usage(access, reads.tenant, limit, subject) for subject in subjects],
        }
    )


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
    """Of one subject: per amount what is used, its share, and where that leads if it goes on so."""
    account = access.gate.account(tenant, limit.scope, subject)
    used, unbooked, rate, now = await access.gate.used(account)
    at = access.gate.now()
    state: dict[str, Any] = {"subject": subject, "unpriced_calls": used.unpriced_month}
    for measure, allowed in limit.amounts.items():
        amount, start, end = _measured(measure, used, rate, now, at)
        running = _measured(measure, unbooked, 0, now, at)[0]
        share = float(amount / allowed) if allowed else None
        passed = (at - start) / (end - start)
        full = start + (at - start) / share if share is not None and passed < share < 1 else None
        state[measure] = {
            "used": _formatted(measure, amount),
            "running": _formatted(measure, running),
            "allowed": _formatted(measure, allowed),
            "share": share,
            "burn_rate": round(share / passed, 3) if share is not None and passed > 0 else None,
            "exhausted_at": rfc3339(full) if full is not None else None,
            "reset_at": rfc3339(account.rate_resets(at) if measure == "requests_per_minute" else end),
        }
    return state


def _formatted(measure: Measure, amount: Decimal) -> str | int:
    return decimal_text(amount) if measure.startswith("usd") else int(amount)


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
