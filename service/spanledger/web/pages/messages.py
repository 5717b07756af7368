"""`/messages`: every exchange, filtered by content, user and cost."""

from typing import Any

from fastapi.responses import Response

from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

ROWS = 50
PREVIEW = 90  # characters of the question
FACETS = (
    *("user", "model", "provider", "workflow", "agent", "tool", "status", "error_type", "service", "prompt"),
    *("prompt_version", "variant"),
)
_LISTS = (
    *("user", "conversation", "message", "trace", "correlation", "model", "provider", "workflow", "agent", "tool"),
    *("prompt", "prompt_version", "variant", "status", "error_type", "cost_state", "service", "operation", "feedback"),
)
_RANGES = ("min_cost", "max_cost", "min_tokens", "max_tokens", "min_duration_ms", "max_duration_ms")
SORTS = {"time": "Time", "duration": "Duration", "tokens": "Tokens", "cost": "Cost, USD"}


@router.get("/messages")
async def messages(page: PageOf) -> Response:
    range_ = range_of(page.query)
    only = _filters(page)
    sort = page.query.get("sort") or "-time"
    filters = {**range_.window, **only}
    facets = None
    if page.wants("facets"):
        facets = await page.api.maybe("facets", params={**filters, "field": ",".join(FACETS), "limit": 12}) or {}
    if page.is_only("facets"):
        return page.render("facets.html", title="Facets", facets=facets, only=only)
    found = await page.api.get(
        "messages",
        params={
            **filters,
            "sort": sort,
            "limit": ROWS,
            "cursor": page.query.get("cursor"),
            "preview": PREVIEW,
            "ratings": "true",
        },
    )
    return page.render(
        "messages.html",
        title="Messages",
        range=range_,
        found=found,
        facets=facets,
        only=only,
        chosen=[(name, value) for name, values in only.items() for value in _listed(values)],
        sort=sort,
        sorts=SORTS,
        ranges=_RANGES,
    )


def _filters(page: Page) -> dict[str, Any]:
    """The filters of the address; `attr=key=value` of the form counts as `attr.key=value`."""
    only: dict[str, Any] = {name: found for name in _LISTS if (found := _given(page, name))}
    only |= {name: page.query[name] for name in (*_RANGES, "q") if page.query.get(name)}
    for name, value in page.query.multi_items():
        if name.startswith("attr.") and value:
            only.setdefault(name, []).append(value)
    key, _, value = page.query.get("attr", "").partition("=")
    if key.strip():
        only.setdefault(f"attr.{key.strip()}", []).append(value.strip() or "*")
    return only


def _given(page: Page, name: str) -> list[str]:
    return [value for value in page.query.getlist(name) if value]


def _listed(values: Any) -> list[str]:
    return values if isinstance(values, list) else [values]
