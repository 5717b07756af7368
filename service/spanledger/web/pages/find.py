"""`/find?q=`: any id leads to its page; other text is looked for in messages."""

from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import PageOf, link, page_router

router = page_router()


@router.get("/find")
async def find(page: PageOf) -> Response:
    text = page.query.get("q", "").strip()
    found = await page.api.maybe("find", params={"id": text}) if 0 < len(text) <= 256 else None
    target = found["path"] if found else link("/messages", q=text, range="all" if text else None)
    return RedirectResponse(target, status_code=303)
