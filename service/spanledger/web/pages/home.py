"""`/`: today against the time before, where the money went, and whether the figures are right."""

from typing import Any

from fastapi.responses import HTMLResponse, Response

from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.ranges import Range, range_of
from spanledger.web.series import series

router = page_router()

_TOP = 6
_LONGEST_REALTIME_S = 86_400


@router.get("/")
async def home(page: PageOf) -> Response:
    range_ = range_of(page.query)
    window = range_.window
    found = await page.api.all(
        page.api.get("usage", params={**window, "group_by": "model", "bucket": range_.bucket, "limit": 50}),
        _before(page, range_),
        page.api.get("users", params={**window, "limit": 1}),
        page.api.get("usage", params={**window, "group_by": "user", "limit": _TOP}),
        page.api.get("usage", params={**window, "group_by": "conversation", "limit": _TOP}),
        _realtime(page, range_),
        page.api.maybe("behaviour", "errors", params={**window, "limit": 5}),
        page.api.maybe("limits"),
        page.api.raw("GET", "/readyz"),
    )
    whole, before, active, users, conversations, realtime, failures, limits, ready = found
    if not whole["usage"]["llm_calls"] and not whole["usage"]["failed_calls"] and await _is_empty(page):
        return page.render("start.html", title="Welcome", arrived=False, **_addresses(page))
    return page.render(
        "home.html",
        title="Home",
        range=range_,
        whole=whole,
        before=before,
        active=active,
        users=users,
        conversations=conversations,
        realtime=realtime,
        failures=(failures or {}).get("items", []),
        limits=(limits or {}).get("items", []),
        ready=ready.json(),
        series=await series(page.api, range_, whole, "model", range_.bucket, {}),
    )


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


async def _before(page: Page, range_: Range) -> Any:
    if range_.before is None:
        return None
    return await page.api.get("usage", params=range_.before.window)


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
