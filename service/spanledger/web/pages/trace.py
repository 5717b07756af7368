"""`/traces/{id}`: a trace as tree and waterfall in one, and one span beside it."""

from typing import Any

from fastapi.responses import Response

from spanledger.web.page import Page, PageOf, page_router

router = page_router()

ROWS = 300
_CUT = 1500  # characters of a value that are shown at once
_KINDS = {"inference": "s0", "embedding": "s0", "rerank": "s0", "tool": "s1", "agent": "s2", "workflow": "s2"}


@router.get("/traces/{trace_id}")
async def trace(page: PageOf, trace_id: str) -> Response:
    query = page.query
    rows, span = await page.api.all(
        page.api.get(
            "traces",
            trace_id,
            "rows",
            params={
                "limit": ROWS,
                "cursor": query.get("cursor"),
                "q": query.get("q"),
                "closed": query.getlist("closed"),
            },
        ),
        _span(page, trace_id, query.get("span")),
    )
    message = rows["message_id"]
    given = await page.api.maybe("messages", message, "feedback") if message and not page.is_fragment else None
    return page.render(
        "trace_rows.html" if page.is_fragment and query.get("cursor") else "trace.html",
        title=f"Trace {trace_id[:12]}",
        trace=rows,
        span=span,
        feedback=[one for one in (given or {}).get("items", []) if not one["superseded"] and one["score"] is not None],
        may_rate=page.principal.role in {"admin", "chat"},
        kinds=_KINDS,
        cut=_CUT,
    )


@router.get("/traces/{trace_id}/spans/{span_id}")
async def one_span(page: PageOf, trace_id: str, span_id: str) -> Response:
    """The pane alone."""
    span = await _span(page, trace_id, span_id)
    return page.render("span_pane.html" if page.is_fragment else "span.html", title=span["name"], span=span, cut=_CUT)


async def _span(page: Page, trace_id: str, span_id: str | None) -> Any:
    if not span_id:
        return None
    return await page.api.maybe("traces", trace_id, "spans", span_id, params={"cut": _CUT})
