"""`/books`: whether the figures are right, and what could not be put into the books."""

from typing import Annotated, Any

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()


@router.get("/books")
async def books(page: PageOf) -> Response:
    range_ = range_of(page.query, "24h")
    ready, prices, letters, usage = await page.api.all(
        page.api.raw("GET", "/readyz"),
        page.api.maybe("reprice"),
        page.api.maybe("dead-letters"),
        page.api.get("usage", params={**range_.window, "group_by": "provider,model", "limit": 200}),
    )
    audit = await _audit(page) if page.query.get("audit") else None
    return page.render(
        "books.html",
        title="Books",
        range=range_,
        ready=ready.json(),
        prices=(prices or {}).get("items", []),
        letters=None if letters is None else letters["items"],
        audit=audit,
        usage=usage,
        unpriced=[group for group in usage["groups"] if group["usage"]["priced_share"] < 1],
        replayed=page.query.get("replayed", ""),
        repriced=page.query.get("repriced", ""),
        undone=page.query.get("undone", ""),
    )


@router.post("/books/replay")
async def replay(page: PageOf, csrf: Annotated[str, Form()] = "", letter: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    answer = await page.api.call("POST", "dead-letters", "replay", body={"ids": [letter] if letter else []})
    return RedirectResponse(f"/books?replayed={len(answer['results'])}#letters", status_code=303)


async def _audit(page: PageOf) -> Any:
    return await page.api.get("audit", params=range_of(page.query, "24h").window)
