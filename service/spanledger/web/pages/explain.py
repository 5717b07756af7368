"""`/explain`: the entries, calls, prices and attributes behind a figure; in the drawer beside a page, or alone."""

from fastapi.responses import Response

from spanledger.web.page import PageOf, page_router

router = page_router()


@router.get("/explain")
async def explain(page: PageOf) -> Response:
    asked: dict[str, list[str]] = {}
    for name, value in page.query.multi_items():
        asked.setdefault(name, []).append(value)
    found = await page.api.get("explain", params={"limit": 25, **asked})
    template = "explain.html" if page.is_fragment else "explain_page.html"
    said = {name: values for name, values in asked.items() if name not in {"cursor", "limit"}}
    return page.render(template, title="Explanation", found=found, said=said)
