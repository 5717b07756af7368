"""Sessions of the console: /login takes a key and sets a signed cookie that does not hold the key.

The cookie is valid for pages and for reading the API (event streams and downloads). It is not valid for writing to the
API: forms are sent to the console, with a token that only its pages know.
"""

import hmac
import secrets
from typing import Any
from urllib.parse import quote

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.access.access import Access
from spanledger.principal import Principal

COOKIE = "spanledger_session"
CSRF_COOKIE = "spanledger_csrf"
MADE_COOKIE = "spanledger_made"
HOURS = 12
HAND_OVER_S = 60  # for which a key that was made waits for its page
_API = ("/v1/", "/healthz", "/readyz", "/openapi.json")
_OPEN = ("/login", "/static/")


class Session:
    """ASGI middleware, outside of authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access: Access | None = scope["app"].state.services.access
        if scope["type"] != "http" or access is None or "principal" in scope.get("state", {}):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_page = not path.startswith(_API)
        state = scope.setdefault("state", {})
        state["page"] = is_page
        if is_page and path.startswith(_OPEN):
            state["open"] = True
        request = Request(scope)
        if (is_page or scope["method"] in {"GET", "HEAD"}) and not _gives_key(request):
            principal = principal_of(access, request.cookies.get(COOKIE, ""))
            if principal is not None:
                state["principal"] = principal
        await self._app(scope, receive, _to_login(scope, send) if is_page else send)


def cookie_of(access: Access, key_id: str) -> str:
    return _signer(access).dumps(key_id)


def principal_of(access: Access, cookie: str) -> Principal | None:
    """Whose session it is; None when it is over, or its key is."""
    if not cookie:
        return None
    try:
        key_id = _signer(access).loads(cookie, max_age=HOURS * 3600)
    except BadData:
        return None
    return access.ring.holder(str(key_id))


def csrf_token(request: Request) -> str:
    """What forms carry and the cookie repeats."""
    known = request.cookies.get(CSRF_COOKIE, "")
    return known if len(known) == 43 else secrets.token_urlsafe(32)


def is_own_form(request: Request, token: str) -> bool:
    """Whether a form came from a page of this console."""
    known = request.cookies.get(CSRF_COOKIE, "")
    return bool(known) and hmac.compare_digest(known.encode(), token.encode())


def hand_over(request: Request, principal: Principal, made: dict[str, Any]) -> str:
    """A key that was made, for the next page of the same session. It goes through the browser that shows it anyway:
    the next request may come to another process."""
    return _signer(_access(request), "made").dumps({"by": principal.key_id, "made": made})


def handed_over(request: Request, principal: Principal) -> dict[str, Any] | None:
    """What was handed over to this session just now; None where nothing was."""
    try:
        given = _signer(_access(request), "made").loads(request.cookies.get(MADE_COOKIE, ""), max_age=HAND_OVER_S)
    except BadData:
        return None
    return given["made"] if given["by"] == principal.key_id else None


def _access(request: Request) -> Access:
    access: Access = request.app.state.services.platform.access
    return access


def _signer(access: Access, purpose: str = "console") -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(access.seal_secret, salt=f"spanledger.{purpose}")


def _gives_key(request: Request) -> bool:
    return "authorization" in request.headers or "x-api-key" in request.headers


def _to_login(scope: Scope, send: Send) -> Send:
    """A browser that may not see a page is led to /login in place of being refused. A script that asks for a part of a
    page makes the browser open the page again, and so /login."""
    headers = Request(scope).headers
    html = "text/html" in headers.get("accept", "")
    is_part = headers.get("hx-request") == "true"
    swallowed = False

    async def send_page(message: Message) -> None:
        nonlocal swallowed
        if message["type"] == "http.response.start" and message["status"] == 401 and html and scope["method"] == "GET":
            swallowed = True
            target = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            redirect: Response = RedirectResponse(f"/login?next={quote(target, safe='')}", status_code=303)
            if is_part:
                redirect = Response(status_code=204, headers={"HX-Refresh": "true"})
            headers = MutableHeaders(scope=message)
            kept = [(name, value) for name, value in headers.raw if name.lower() == b"x-correlation-id"]
            await send({**message, "status": redirect.status_code, "headers": [*redirect.raw_headers, *kept]})
        elif swallowed:
            if not message.get("more_body"):
                await send({"type": "http.response.body", "body": b""})
        else:
            await send(message)

    return send_page
