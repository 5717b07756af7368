"""`/books`: whether the figures are right, and what could not be put into the books."""

from typing import Annotated, Any

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

_AUDIT_WAIT_S = 2
_AUDITS = 20


@router.get("/books")
async def books(page: PageOf) -> Response:
    range_ = range_of(page.query, "24h")
    ready, prices, letters, usage, audits = await page.api.all(
        page.api.raw("GET", "/readyz"),
        page.api.maybe("reprice"),
        page.api.maybe("dead-letters"),
        page.api.get("usage", params={**range_.window, "group_by": "provider,model", "limit": 200}),
        page.api.maybe("audits"),
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
        audits=(audits or {}).get("items", [])[:_AUDITS],
        usage=usage,
        unpriced=[group for group in usage["groups"] if group["usage"]["priced_share"] < 1],
        replayed=page.query.get("replayed", ""),
        repriced=page.query.get("repriced", ""),
        undone=page.query.get("undone", ""),
    )


@router.get("/books/state")
async def state(page: PageOf) -> Response:
    """The state of the books in a few words, for the head of every page."""
    ready = (await page.api.raw("GET", "/readyz")).json()
    return page.render("books_state.html", ready={"last_audit": None, **ready})


@router.get("/books/audit/{operation_id}")
async def audit(page: PageOf, operation_id: str) -> Response:
    """How far an audit is, and its report at the end."""
    found = await page.api.get("operations", operation_id)
    template = "audit.html" if page.is_fragment else "audit_page.html"
    return page.render(template, title="Audit", audit=found)


@router.post("/books/replay")
async def replay(page: PageOf, csrf: Annotated[str, Form()] = "", letter: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    answer = await page.api.call("POST", "dead-letters", "replay", body={"ids": [letter] if letter else []})
    return RedirectResponse(f"/books?replayed={len(answer['results'])}#letters", status_code=303)


async def _audit(page: PageOf) -> Any:
    """The report, or how far the audit is when it takes longer than a moment."""
    return await page.api.get("audit", params={**range_of(page.query, "24h").window, "wait": _AUDIT_WAIT_S})
