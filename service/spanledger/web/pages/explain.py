"""`/explain`: the entries, calls, prices and attributes behind a figure; `/explain/compare`: the same thing against its
peers. In the drawer beside a page, or alone."""

from fastapi.responses import Response

from spanledger.stats.compare import KINDS
from spanledger.web.page import Page, PageOf, page_router

router = page_router()
_WINDOW = frozenset({"from", "to"})


@router.get("/explain")
async def explain(page: PageOf) -> Response:
    query = _query(page)
    found = await page.api.get("explain", params={"limit": 25, **query})
    template = "explain.html" if page.is_fragment else "explain_page.html"
    subject = {name: values for name, values in query.items() if name not in {"cursor", "limit"}}
    things = subject.keys() - _WINDOW
    comparable = len(things) == 1 and things <= set(KINDS) and all(len(subject[name]) == 1 for name in things)
    return page.render(template, title="Explanation", found=found, subject=subject, comparable=comparable)


@router.get("/explain/compare")
async def compare(page: PageOf) -> Response:
    query = _query(page)
    found = await page.api.get("explain", "compare", params=query)
    most = max((abs(float(one["amount_usd"])) for one in found["factors"]), default=0)
    template = "compare.html" if page.is_fragment else "compare_page.html"
    return page.render(template, title="Against its peers", found=found, subject=query, most=most)


def _query(page: Page) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for name, value in page.query.multi_items():
        query.setdefault(name, []).append(value)
    return query
