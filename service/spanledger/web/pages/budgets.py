"""`/budgets`: limits, their use and pace, and refused requests."""

from typing import Annotated, Any, NamedTuple

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.access.limits import ACTIONS, MEASURES, SCOPES
from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

_ALERTS = 50
SHOWN = 10  # subjects of a limit, the nearest to it

_COMMAND = """curl -X PUT {base}/v1/limits/each-user -H 'Content-Type: application/json' \\
  -d '{{"scope": "user", "usd_per_month": "10", "action": "block"}}'"""


@router.get("/budgets")
async def budgets(page: PageOf) -> Response:
    range_ = range_of(page.query, "7d")
    limits, refusals, alerts = await page.api.all(
        page.api.get("limits"),
        page.api.maybe("audit-log", params={"action": "limit.exceed", "limit": 20}),
        page.api.get("alerts", params={**range_.window, "limit": _ALERTS}),
    )
    return page.render(
        "budgets.html",
        title="Budgets",
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
    """What one subject has used of one amount of a limit; `amounts` as the API has it."""

    limit: dict[str, Any]
    subject: str
    measure: str
    amounts: dict[str, Any]


def uses(limits: list[dict[str, Any]], subject: str = "") -> list[Use]:
    """Of all limits, what is nearest to being used up first; `subject`: of this user alone."""
    found = [
        Use(limit, used["subject"], measure, used[measure])
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
    await page.api.call("PUT", "limits", name, body=body)
    return RedirectResponse("/budgets", status_code=303)


@router.post("/budgets/remove")
async def remove(page: PageOf, name: Annotated[str, Form()], csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("DELETE", "limits", name)
    return RedirectResponse("/budgets", status_code=303)
