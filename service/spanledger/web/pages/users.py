"""`/users` and `/users/{id}`: usage by user."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from fastapi.responses import Response

from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.pages.budgets import uses
from spanledger.web.ranges import Range, range_of
from spanledger.web.series import SHOWN, series

router = page_router()

ROWS = 50


@router.get("/users")
async def users(page: PageOf) -> Response:
    range_ = range_of(page.query, "30d")
    sort = page.query.get("sort") or "-cost"
    tenants = await page.api.maybe("tenants", params=range_.window) if page.wants("tenants") else None
    if page.is_only("tenants"):
        return page.render("tenants.html", title="Tenants", range=range_, tenants=tenants or {"items": []})
    found = await page.api.get(
        "users",
        params={
            **range_.window,
            "prefix": page.query.get("prefix"),
            "sort": sort,
            "limit": ROWS,
            "cursor": page.query.get("cursor"),
            "trend": "true",
        },
    )
    return page.render(
        "users.html",
        title="Users",
        range=range_,
        found=found,
        tenants=tenants,
        sort=sort,
        trends=_trends(found["items"], range_),
    )


def _trends(items: list[dict[str, Any]], range_: Range) -> dict[str, tuple[list[Decimal], str]]:
    """By user the cost of each day, days without any too, on the same days for all; and what is drawn, in words."""
    known = [point["day"] for one in items for point in one["trend"]]
    if not known:
        return {}
    first = max(range_.start.date() if range_.start else date.min, date.fromisoformat(min(known)))
    days = [f"{first + timedelta(days=n)}" for n in range((date.fromisoformat(max(known)) - first).days + 1)]
    description = f"cost per day, {days[0]} to {days[-1]}" if days else ""
    costs = {one["user_id"]: {p["day"]: Decimal(p["cost_usd"]) for p in one["trend"]} for one in items}
    return {user: ([of_user.get(day, Decimal(0)) for day in days], description) for user, of_user in costs.items()}


@router.get("/users/{user_id}")
async def user(page: PageOf, user_id: str) -> Response:
    range_ = range_of(page.query, "30d")
    only = {"user": user_id}
    drawn = {"bucket": range_.bucket, "series": SHOWN}
    habits = await _habits(page, range_, user_id) if page.wants("habits") else None
    if page.is_only("habits"):
        return page.render("habits.html", title="User", user_id=user_id, range=range_, habits=habits)
    by_model, conversations, limits = await page.api.all(
        page.api.get("usage", params={**range_.window, **only, "group_by": "model", **drawn}),
        page.api.get("conversations", params={**range_.window, "user_id": user_id, "limit": 20}),
        page.api.maybe("limits"),
    )
    return page.render(
        "user.html",
        title=f"User {user_id[:40]}",
        user_id=user_id,
        range=range_,
        whole=by_model,
        conversations=conversations["items"],
        habits=habits,
        budgets=uses((limits or {}).get("items", []), user_id),
        series=series(range_, by_model, "model", range_.bucket),
    )


async def _habits(page: Page, range_: Range, user_id: str) -> dict[str, Any]:
    """How many messages and conversations, at which hours, and with which workflows."""
    workflows, behaviour = await page.api.all(
        page.api.get("usage", params={**range_.window, "user": user_id, "group_by": "workflow"}),
        page.api.maybe("behaviour", "users", params={**range_.window, "user_id": user_id}),
    )
    return {"workflows": workflows["groups"], "behaviour": behaviour}
