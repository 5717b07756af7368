"""`/find?q=`: any id leads to its page; other text is looked for in messages."""

from typing import Any

from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import Page, PageOf, link, page_router, path_of

router = page_router()


@router.get("/find")
async def find(page: PageOf) -> Response:
    text = page.query.get("q", "").strip()
    target = await _target(page, text) if text else None
    return RedirectResponse(target or link("/messages", q=text, range="all"), status_code=303)


async def _target(page: Page, text: str) -> str | None:
    message = await page.api.maybe("messages", text)
    if message is not None:
        return path_of("traces", message["trace_id"]) if message["trace_id"] else None
    if await page.api.maybe("conversations", text) is not None:
        return path_of("conversations", text)
    trace: Any = await page.api.maybe("traces", text, "rows", params={"limit": 1})
    if trace is not None:
        return path_of("traces", text)
    correlation = await page.api.maybe("correlations", text)
    if correlation is not None:
        return path_of("traces", correlation["trace_ids"][0])
    used = await page.api.get("users", text, "usage")
    return path_of("users", text) if used["buckets"] else None
