"""Shared by all pages: templates, headers, access to the API, and the address as state."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import httpx
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import spanledger
from spanledger.access import LOCAL
from spanledger.errors import Refused, SpanledgerError
from spanledger.telemetry import ids
from spanledger.web import charts, session, shown
from spanledger.web.api_client import Api
from spanledger.web.assets import asset
from spanledger.web.pieces import compressed
from spanledger.web.ranges import Range

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_MARK = Markup("<!-- the rest -->")
NAVIGATION = (
    ("/", "Home", "h"),
    ("/messages", "Messages", "m"),
    ("/users", "Users", "u"),
    ("/costs", "Costs", "c"),
    ("/live", "Live", "l"),
    ("/books", "Books", "b"),
    ("/budgets", "Budgets", "g"),
    ("/catalogue", "Catalogue", "a"),
    ("/sql", "SQL", "q"),
    ("/settings", "Settings", "s"),
)


class Page:
    """One request to the console."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.api = Api(request)
        self.principal = getattr(request.state, "principal", LOCAL)
        self.query = request.query_params
        self._csrf = session.csrf_token(request)

    def render(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        response = HTMLResponse(self._text(template, context), status_code=status, headers=_HEADERS)
        self._set_csrf(response)
        return response

    def stream(
        self, template: str, part: str, coming: Callable[[], Awaitable[dict[str, Any]]], **context: Any
    ) -> Response:
        """The page up to the mark `{{ rest }}` at once; then `part`, another template, with what `coming` brings, and
        the end of the page."""
        head, _, foot = self._text(template, {**context, "rest": _MARK}).partition(_MARK)

        async def pieces() -> AsyncIterator[str]:
            yield head
            try:
                yield self._text(part, {**context, **await coming()})
            except SpanledgerError as exc:  # the page has begun: its status cannot change any more
                yield self._text("broken.html", {"error": exc})
            yield foot

        response = compressed(pieces(), self.request.headers.get("accept-encoding", ""))
        response.headers.update(_HEADERS)
        self._set_csrf(response)
        return response

    def _text(self, template: str, context: dict[str, Any]) -> str:
        given = {"page": self, "path": self.request.url.path, "csrf": self._csrf, "principal": self.principal}
        return environment().get_template(template).render({**given, **context})

    def _set_csrf(self, response: Response) -> None:
        response.set_cookie(
            session.CSRF_COOKIE,
            self._csrf,
            httponly=True,
            samesite="strict",
            secure=self.request.url.scheme == "https",
        )

    @property
    def is_fragment(self) -> bool:
        """Whether a script asks for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    def wants(self, part: str) -> bool:
        """Whether a part of the page that is loaded after it is to be answered: to a script, or because a reader
        without scripts followed its link."""
        return self.query.get("part") == part

    def is_only(self, part: str) -> bool:
        """Whether only this part is requested."""
        return self.is_fragment and self.wants(part)

    def check_form(self, csrf: str) -> None:
        """Raises Refused for a form that is not from a page of this console."""
        if not session.is_own_form(self.request, csrf):
            raise Refused("this form is too old or comes from elsewhere; open the page again")

    def error(self, error: SpanledgerError) -> HTMLResponse:
        correlation_id = ids.current().correlation_id
        return self.render(
            "error.html", status=error.status, error=error, title=error.title, correlation_id=correlation_id
        )

    def address(self, **changes: Any) -> str:
        """This page's address with some parameters changed; None or empty removes one."""
        params = [(n, value) for n, value in self.query.multi_items() if n not in changes and n != "part"]
        return self._path + _query(params + list(_pairs(changes)))

    @property
    def _path(self) -> str:
        """As it was requested: `url.path` lacks line breaks and tabs, which ids may have."""
        scope = self.request.scope
        return scope["raw_path"].decode("ascii") if scope.get("raw_path") else quote(scope["path"])

    def with_(self, name: str, value: str) -> str:
        """This address with one more filter."""
        if value in self.query.getlist(name):
            return self.address(cursor=None)
        return self.address(cursor=None, **{name: [*self.query.getlist(name), value]})

    def without(self, name: str, value: str) -> str:
        """This address with one filter less."""
        left = [one for one in self.query.getlist(name) if one != value]
        return self.address(**{"cursor": None, name: left, **({"attr": None} if name.startswith("attr.") else {})})

    @staticmethod
    def key(group: Mapping[str, Any], by: Sequence[str]) -> tuple[str, ...]:
        """The values of a group's dimensions."""
        return tuple(group[name] for name in by)

    def explain_filter(self, range_: Range, only: Mapping[str, Any]) -> str:
        """What explains the total of a filter: the same dimensions in the same window, where the books have them."""
        if any(name not in EXPLAINED for name in only):
            return self.address()
        return explain(range_.window, **(only or {"tenant": self.principal.tenant}))


ID = "id"
_DOTS = (".", "..")
EXPLAINED = frozenset({"user", "conversation", "message", "trace", "model", "provider", "workflow", "agent", "service"})
PageOf = Annotated[Page, Depends(Page)]


class PageRoute(APIRoute):
    """Errors of a page are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            named = request.query_params.get(ID)
            if named in _DOTS and len(request.path_params) == 1:
                request.scope["path_params"] = dict.fromkeys(request.path_params, named)
            try:
                return await handle(request)
            except SpanledgerError as exc:
                return Page(request).error(exc)

        return handled


def page_router() -> APIRouter:
    return APIRouter(route_class=PageRoute)


def handed_on(answer: httpx.Response, name: str) -> Response:
    """A file of the API as a download of the console."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(
        answer.content, answer.status_code, headers if answer.is_success else None, answer.headers["content-type"]
    )


def link(path: str, params: Mapping[str, Any] | None = None, **more: Any) -> str:
    """An address of the console; empty parameters are left out."""
    query = _query(list(_pairs({**(params or {}), **more})))
    return path + (query.replace("?", "&", 1) if "?" in path else query)


def explain(params: Mapping[str, Any] | None = None, **more: Any) -> str:
    """The address that explains a figure. A whole tenant is all that went well or failed, in the API's words."""
    query = {**(params or {}), **more}
    if query.pop("tenant", None):
        query["status"] = ["ok", "error"]
    return link("/explain", query)


def path_of(kind: str, identity: str | None) -> str:
    """`/traces/…` with the id escaped; empty where there is no id. Browsers take dots alone out of a path, escaped or
    not: such an id is a parameter, which `PageRoute` reads."""
    if identity in _DOTS:
        return f"/{kind}/-{_query([(ID, identity)])}"
    return f"/{kind}/{quote(identity, safe='')}" if identity else ""


def shown_at(message: Mapping[str, Any]) -> str:
    """The page of a message: its trace, where it has one, else its conversation or its row in the list."""
    for kind in ("trace", "conversation"):
        if message.get(f"{kind}_id"):
            return path_of(f"{kind}s", message[f"{kind}_id"])
    return link("/messages", message=message["message_id"], range="all")


def _pairs(params: Mapping[str, Any]) -> "list[tuple[str, str]]":
    return [
        (name.rstrip("_"), str(one))
        for name, value in params.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one not in (None, "")
    ]


def _query(pairs: "list[tuple[str, str]]") -> str:
    return f"?{urlencode(pairs)}" if pairs else ""


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("spanledger.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(shown.FILTERS)
    made.globals.update(
        asset=asset,
        link=link,
        explain=explain,
        path_of=path_of,
        shown_at=shown_at,
        charts=charts,
        change=shown.change,
        navigation=NAVIGATION,
        version=spanledger.__version__,
    )
    made.globals["ui"] = made.get_template("parts.html").module
    return made
