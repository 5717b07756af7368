"""`/login` and `/logout`."""

from typing import Annotated

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from spanledger.access.access import Access
from spanledger.errors import Unauthenticated
from spanledger.web import session
from spanledger.web.page import PageOf, page_router

router = page_router()


@router.get("/login")
def form(page: PageOf) -> Response:
    return page.render("login.html", title="Log in", refused="", next=_inside(page.query.get("next", "/")))


@router.post("/login")
def login(
    request: Request,
    page: PageOf,
    key: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    access: Access = request.app.state.services.platform.access
    target = _inside(next)
    if not session.is_own_form(request, csrf):
        refused = "This form is too old. Try again."
        return page.render("login.html", status=403, title="Log in", refused=refused, next=target)
    try:
        principal = access.ring.owner(key.strip())
    except Unauthenticated as exc:
        return page.render("login.html", status=401, title="Log in", refused=str(exc), next=target)
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        session.COOKIE,
        session.cookie_of(access, principal.key_id),
        max_age=session.HOURS * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def logout(request: Request, page: PageOf, csrf: Annotated[str, Form()] = "") -> Response:
    response = RedirectResponse("/login", status_code=303)
    if session.is_own_form(request, csrf):
        response.delete_cookie(session.COOKIE, httponly=True, samesite="strict")
    return response


def _inside(target: str) -> str:
    """Only a path of this console."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target else "/"
