"""`/messages`: every exchange, found by what it was about, who it was for and what it cost."""

from typing import Any

from fastapi.responses import Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

ROWS = 50
FILTERS = (
    *("user", "conversation", "model", "provider", "workflow", "agent", "tool", "prompt", "prompt_version"),
    *("variant", "status", "error_type", "cost_state", "service", "operation", "feedback"),
)
_NUMBERS = tuple(f"{edge}_{name}" for name in ("cost", "tokens", "duration") for edge in ("min", "max"))


@router.get("/messages")
async def messages(page: PageOf) -> Response:
    range_ = range_of(page.query)
    only: dict[str, Any] = {name: values for name in FILTERS if (values := [v for v in page.query.getlist(name) if v])}
    paging = {"limit": ROWS, "cursor": page.query.get("cursor")}
    found = await page.api.get("conversations", params={**range_.window, "user_id": page.query.get("user"), **paging})
    return page.render("conversations.html", title="Messages", range=range_, found=found, only=only)
