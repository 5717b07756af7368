"""`/users` and `/users/{id}`: who used what."""

from fastapi.responses import Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of
from spanledger.web.series import series

router = page_router()

ROWS = 50


@router.get("/users")
async def users(page: PageOf) -> Response:
    range_ = range_of(page.query, "30d")
    sort = page.query.get("sort") or "-cost"
    found, tenants = await page.api.all(
        page.api.get(
            "users",
            params={
                **range_.window,
                "prefix": page.query.get("prefix"),
                "sort": sort,
                "limit": ROWS,
                "cursor": page.query.get("cursor"),
            },
        ),
        page.api.maybe("tenants", params=range_.window),
    )
    return page.render("users.html", title="Users", range=range_, found=found, tenants=tenants, sort=sort)


@router.get("/users/{user_id}")
async def user(page: PageOf, user_id: str) -> Response:
    range_ = range_of(page.query, "30d")
    only = {"user": user_id}
    by_model, conversations, workflows, behaviour, limits = await page.api.all(
        page.api.get("usage", params={**range_.window, **only, "group_by": "model", "bucket": range_.bucket}),
        page.api.get("conversations", params={**range_.window, "user_id": user_id, "limit": 20}),
        page.api.get("usage", params={**range_.window, **only, "group_by": "workflow"}),
        page.api.maybe("behaviour", "users", params={**range_.window, "user_id": user_id}),
        page.api.maybe("limits"),
    )
    return page.render(
        "user.html",
        title=f"User {user_id[:40]}",
        user_id=user_id,
        range=range_,
        whole=by_model,
        conversations=conversations["items"],
        workflows=workflows,
        behaviour=behaviour,
        budgets=[
            (limit, used)
            for limit in (limits or {}).get("items", [])
            for used in limit["usage"]
            if limit["scope"] == "user" and used["subject"] == user_id
        ],
        series=await series(page.api, range_, by_model, "model", range_.bucket, only),
    )
