"""`/live`: events as they come."""

from fastapi.responses import Response

from spanledger.live import FOR_ADMINS, TYPES
from spanledger.web.page import PageOf, link, page_router

router = page_router()

WINDOWS = (60, 300, 3600)


@router.get("/live")
async def live(page: PageOf) -> Response:
    chosen = page.query.get("window", "")
    window = int(chosen) if chosen in {str(seconds) for seconds in WINDOWS} else WINDOWS[0]
    realtime = await page.api.get("realtime", params={"window": window})
    offered = [name for name in TYPES if page.principal.role == "admin" or name not in FOR_ADMINS]
    types = [name for name in page.query.getlist("type") if name in offered]
    names = ("conversation_id", "user_id", "trace_id")
    only = {name: page.query[name] for name in names if page.query.get(name)}
    shown = types or [name for name in offered if name not in FOR_ADMINS]
    return page.render(
        "live_totals.html" if page.is_fragment else "live.html",
        title="Live",
        window=window,
        windows=WINDOWS,
        realtime=realtime,
        types=types,
        offered=offered,
        only=only,
        stream=link("/v1/events", {**only, "type": ",".join(shown)}),
    )
