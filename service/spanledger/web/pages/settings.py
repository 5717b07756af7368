"""`/settings`: where spans go in, keys, what is kept, health; and `/keys`, the keyboard."""

from typing import Annotated, Any

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.access.keys import ROLES
from spanledger.settings import described
from spanledger.web import session
from spanledger.web.page import PageOf, page_router

router = page_router()

_MADE = "/settings/keys"
_SECRET = frozenset({"clickhouse_url"})


@router.get("/settings")
async def settings(page: PageOf) -> Response:
    return await _page(page)


@router.get("/settings/keys")
async def made(page: PageOf) -> Response:
    """The key that was just made, once; loaded again, the page without it."""
    key = session.handed_over(page.request, page.principal)
    response = RedirectResponse("/settings#keys", status_code=303) if key is None else await _page(page, made=key)
    response.delete_cookie(session.MADE_COOKIE, path=_MADE, httponly=True, samesite="strict")
    return response


@router.post("/settings/keys")
async def create(
    page: PageOf,
    role: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    tenant: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    """Leads to a page that shows the key, once: it is in no address, and loading that page makes no other key."""
    page.check_form(csrf)
    body = {"role": role, "name": name, **({"tenant": tenant} if tenant else {})}
    key = await page.api.call("POST", "keys", body=body)
    response = RedirectResponse(_MADE, status_code=303)
    response.set_cookie(
        session.MADE_COOKIE,
        session.hand_over(page.request, page.principal, {name: key[name] for name in ("tenant", "role", "key")}),
        max_age=session.HAND_OVER_S,
        path=_MADE,
        httponly=True,
        samesite="strict",
        secure=page.request.url.scheme == "https",
    )
    return response


@router.post("/settings/keys/revoke")
async def revoke(page: PageOf, key_id: Annotated[str, Form()], csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("DELETE", "keys", key_id)
    return RedirectResponse("/settings#keys", status_code=303)


@router.get("/keys")
async def keyboard(page: PageOf) -> Response:
    return page.render("keyboard.html", title="Keyboard")


async def _page(page: PageOf, made: Any = None) -> Response:
    keys = await page.api.maybe("keys")
    ready = (await page.api.raw("GET", "/readyz")).json()
    own = page.request.app.state.services.settings
    values = [
        (one.name, "set" if one.name in _SECRET and getattr(own, one.name) else getattr(own, one.name), one.meaning)
        for one in described()
    ]
    return page.render(
        "settings.html",
        title="Settings",
        keys=None if keys is None else keys["items"],
        made=made,
        roles=ROLES,
        ready=ready,
        own=own,
        values=values if page.principal.operator else [],
        host=page.request.url.hostname or "127.0.0.1",
        base=str(page.request.base_url).rstrip("/"),
    )
