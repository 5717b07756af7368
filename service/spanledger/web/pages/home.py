"""`/`: today against the time before, where the money went, and whether the figures are right."""

from typing import Any

from fastapi.responses import HTMLResponse, Response

from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.pages.budgets import uses
from spanledger.web.ranges import Range, range_of
from spanledger.web.series import SHOWN, series

router = page_router()

_TOP = 6
_LONGEST_REALTIME_S = 86_400


@router.get("/")
async def home(page: PageOf) -> Response:
    range_ = range_of(page.query)
    window = range_.window
    over_time = {"bucket": range_.bucket, "series": SHOWN, "compare": "previous" if range_.before else None}
    whole, realtime, ready = await page.api.all(
        page.api.get("usage", params={**window, "group_by": "model", "limit": 50, **over_time}),
        _realtime(page, range_),
        page.api.raw("GET", "/readyz"),
    )
    if not whole["usage"]["llm_calls"] and not whole["usage"]["failed_calls"] and await _is_empty(page):
        return page.render("start.html", title="Welcome", arrived=False, **_addresses(page))
    return page.stream(
        "home.html",
        "people.html",
        lambda: _people(page, window),
        title="Home",
        range=range_,
        whole=whole,
        before=whole["previous"],
        realtime=realtime,
        ready=ready.json(),
        series=series(range_, whole, "model", range_.bucket),
    )


async def _people(page: Page, window: dict[str, str]) -> dict[str, Any]:
    """The dearest users and conversations, the latest failures and the budgets."""
    users, conversations, failures, limits = await page.api.all(
        page.api.get("users", params={**window, "limit": _TOP}),
        page.api.get("usage", params={**window, "group_by": "conversation", "limit": _TOP}),
        page.api.maybe("behaviour", "errors", params={**window, "limit": 5}),
        page.api.maybe("limits"),
    )
    return {
        "users": users,
        "conversations": conversations["groups"],
        "failures": (failures or {}).get("items", []),
        "budgets": uses((limits or {}).get("items", []))[:_TOP],
    }


@router.get("/start")
async def start(page: PageOf) -> Response:
    """How to send the first span; Home itself while there is none."""
    return page.render("start.html", title="Send spans", arrived=not await _is_empty(page), **_addresses(page))


@router.get("/first")
async def first(page: PageOf) -> HTMLResponse:
    """Whether the first span has come, for the page that waits for it."""
    return page.render("first.html", title="First span", arrived=not await _is_empty(page))


async def _is_empty(page: Page) -> bool:
    conversations = await page.api.get("conversations", params={"limit": 1})
    if conversations["items"]:
        return False
    usage = await page.api.get("usage")
    return not usage["usage"]["llm_calls"] and not usage["usage"]["failed_calls"]


async def _realtime(page: Page, range_: Range) -> Any:
    """Latencies are kept for a day."""
    if range_.name not in {"1h", "24h"}:
        return None
    seconds = 3600 if range_.name == "1h" else _LONGEST_REALTIME_S
    return await page.api.get("realtime", params={"window": seconds})


def _addresses(page: Page) -> dict[str, Any]:
    """Where to send spans, as seen from the browser."""
    settings = page.request.app.state.services.settings
    host = page.request.url.hostname or "127.0.0.1"
    return {
        "otlp": f"http://{host}:{settings.otlp_http_port}",
        "grpc": f"{host}:{settings.otlp_grpc_port}",
        "base": str(page.request.base_url).rstrip("/"),
    }
