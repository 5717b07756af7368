"""`/budgets`: limits, their use and pace, and refused requests."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.access.limits import ACTIONS, MEASURES, SCOPES
from spanledger.web.api_client import ApiRefusal
from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.ranges import range_of
from spanledger.web.shown import moment

router = page_router()

_ALERTS = 50
_PERIODS = {"tokens_per_day": "day", "usd_per_day": "day", "usd_per_month": "month"}
SHOWN = 10  # subjects of a limit, the nearest to it

_COMMAND = """curl -X PUT {base}/v1/limits/each-user -H 'Content-Type: application/json' \\
  -d '{{"scope": "user", "usd_per_month": "10", "action": "block"}}'"""


@router.get("/budgets")
async def budgets(page: PageOf) -> Response:
    return await _page(page)


async def _page(page: Page, given: Mapping[str, str] | None = None, problem: ApiRefusal | None = None) -> Response:
    """`given`: what a form held that was refused, and why."""
    range_ = range_of(page.query, "7d")
    limits, refusals, alerts = await page.api.all(
        page.api.get("limits"),
        page.api.maybe("audit-log", params={"action": "limit.exceed", "limit": 20}),
        page.api.get("alerts", params={**range_.window, "limit": _ALERTS}),
    )
    return page.render(
        "budgets.html",
        status=problem.status if problem is not None else 200,
        title="Budgets",
        given=given or {},
        problem=problem,
        limits=[(limit, uses([limit])) for limit in limits["items"]],
        range=range_,
        alerts=alerts,
        most=None if page.query.get("all") else SHOWN,
        refusals=(refusals or {}).get("items", []),
        scopes=SCOPES,
        actions=ACTIONS,
        measures=MEASURES,
        command=_COMMAND.format(base=str(page.request.base_url).rstrip("/")),
    )


class Use(NamedTuple):
    """What one subject has used of one amount of a limit; `amounts` as the API has it. `unpriced`: calls of this month
    that are not in an amount of money."""

    limit: dict[str, Any]
    subject: str
    measure: str
    amounts: dict[str, Any]
    unpriced: int

    @property
    def window(self) -> dict[str, str] | None:
        """What the amount is counted over, where the books have it."""
        end = moment(self.amounts["reset_at"])
        if end is None or self.measure not in _PERIODS:
            return None
        last_day = end - timedelta(days=1)
        start = last_day.replace(day=1) if _PERIODS[self.measure] == "month" else last_day
        return {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}

    @property
    def is_up(self) -> bool:
        share = self.amounts["share"]
        return share >= 1 if share is not None else Decimal(str(self.amounts["used"])) > 0


def uses(limits: list[dict[str, Any]], subject: str = "") -> list[Use]:
    """Of all limits, what is nearest to being used up first; `subject`: of this user alone."""
    found = [
        Use(limit, used["subject"], measure, used[measure], used["unpriced_calls"])
        for limit in limits
        for used in limit["usage"]
        for measure in MEASURES
        if used[measure] and (not subject or (limit["scope"] == "user" and used["subject"] == subject))
    ]
    return sorted(found, key=lambda use: -(use.amounts["share"] or 0))


@router.post("/budgets")
async def put(
    page: PageOf,
    name: Annotated[str, Form()],
    scope: Annotated[str, Form()],
    measure: Annotated[str, Form()],
    amount: Annotated[str, Form()],
    match: Annotated[str, Form()] = "*",
    action: Annotated[str, Form()] = "block",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    page.check_form(csrf)
    body: dict[str, Any] = {"scope": scope, "match": match or "*", "action": action, measure: amount.strip()}
    try:
        await page.api.call("PUT", "limits", name, body=body)
    except ApiRefusal as exc:
        given = {"name": name, "scope": scope, "match": match, "amount": amount, "measure": measure, "action": action}
        return await _page(page, given, exc)
    return RedirectResponse("/budgets", status_code=303)


@router.post("/budgets/remove")
async def remove(page: PageOf, name: Annotated[str, Form()], csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("DELETE", "limits", name)
    return RedirectResponse("/budgets", status_code=303)
