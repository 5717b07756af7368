"""Authentication and permissions: runs before every route except the health checks."""

from functools import partial

from opentelemetry import trace
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanledger.access import LOCAL, Principal
from spanledger.access.access import Access
from spanledger.access.keys import RefusedKey
from spanledger.access.roles import may_call
from spanledger.api import problems
from spanledger.errors import Refused, Unauthenticated
from spanledger.runtime.services import Services
from spanledger.telemetry import audit, errors, ids

OPEN = frozenset({"/healthz", "/readyz"})
_INVALID = frozenset({400, 408, 413, 415, 422})
# Looks that come every few seconds by themselves and show no single record; SQL tells of itself.
_NOT_TOLD = frozenset({"/v1/realtime", "/v1/events", "/v1/models", "/v1/flush", "/v1/canary", "/v1/sql"})
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Authentication:
    """ASGI middleware, inside `Correlation`. Puts the `Principal` into the request's state.

    A principal that is there already (of a session of the console) counts, and so does `open` for pages without data.
    What a `page` shows comes from API calls that are checked one by one.

    Everything that the request emits carries its tenant and its key's id. What came of it goes into the reports.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access = _access(scope)
        state = scope.get("state", {})
        if access is None or scope["path"] in OPEN or state.get("open"):
            await self._app(scope, receive, send)
            return
        try:
            principal = state.get("principal") or _principal(access, scope)
        except Unauthenticated as exc:
            await _refuse(access, scope, exc)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        with ids.carry(tenant=_name(principal), key_id=principal.key_id) as carried:
            ids.stamp(trace.get_current_span(), carried)
            await self._admitted(access, principal, scope, receive, send)

    async def _admitted(self, access: Access, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500
        state = scope["state"]

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if state.get("page") or may_call(principal, scope["method"], scope["path"]):
                await self._app(scope, receive, send_seen)
            else:
                await _forbid(principal, scope)(scope, receive, send_seen)
        finally:
            _report(access, principal, scope, status)


def _access(scope: Scope) -> Access | None:
    """None where this process has no platform, or it is no HTTP request."""
    if scope["type"] != "http":
        return None
    services: Services = scope["app"].state.services
    return services.access


def _principal(access: Access, scope: Scope) -> Principal:
    headers = Headers(scope=scope)
    return access.authentication.principal(headers.get("authorization"), headers.get("x-api-key"))


def _refuse(access: Access, scope: Scope, error: Unauthenticated) -> Response:
    tenant, key_id, reason = "", "", "missing"
    if isinstance(error, RefusedKey):
        tenant, key_id, reason = error.tenant, error.key_id, error.reason
    access.reports.note(
        audit.SECURITY, "key.refuse", "denied", tenant=tenant, key_id=key_id, target="api", reason=reason, status=401
    )
    errors.fail(trace.get_current_span(), error)
    response = problems.of_error(error, openai=problems.for_openai(Request(scope)))
    if "text/html" in Headers(scope=scope).get("accept", ""):
        # A person with a browser: it will ask for a password, which is the key.
        response.headers.append("WWW-Authenticate", 'Basic realm="spanledger: the password is a key"')
    return response


def _forbid(principal: Principal, scope: Scope) -> Response:
    who = f"key {principal.key_id} has the role {principal.role}, which" if principal.key_id else "this caller"
    error = Refused(f"{who} may not {scope['method']} {scope['path'][:200]}")
    errors.fail(trace.get_current_span(), error)
    return problems.of_error(error, openai=problems.for_openai(Request(scope)))


def _report(access: Access, principal: Principal, scope: Scope, status: int) -> None:
    note = partial(access.reports.note, tenant=_name(principal), key_id=principal.key_id)
    route = str(getattr(scope.get("route"), "path", ""))
    if principal.key_id:
        note(audit.AUDIT, "key.use", "allowed", target="api")
    if status == 403:
        note(audit.SECURITY, "permission.refuse", "denied", target=f"{scope['method']} {_target(scope)}")
    elif status in _INVALID and route:
        kind = scope["state"].get("problem", "")
        target = f"{scope['method']} {route}"
        note(audit.SECURITY, "request.validate", "failed", target=target, status=status, kind=kind)
    elif route.startswith("/v1/") and route not in _NOT_TOLD:
        action = "data.write" if scope["method"] in _WRITES else "data.read"
        outcome = "allowed" if status < 400 else "failed"
        note(audit.AUDIT, action, outcome, target=_target(scope))


def _target(scope: Scope) -> str:
    path: str = scope["path"]
    return path.replace("%2F", "/").replace("%25", "%")[:512]


def _name(principal: Principal) -> str:
    return "" if principal.tenant == LOCAL.tenant else principal.tenant
