"""The OpenAPI document: what FastAPI derives from the routes, and declarations that apply to all routes.

Problems, security schemes and roles follow from rules, not from a declaration per route.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any, get_args

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from spanledger.access.roles import may_call
from spanledger.api.auth import OPEN
from spanledger.api.documents import DocumentBody, DocumentForm
from spanledger.api.problems import MEDIA_TYPE
from spanledger.api.schemas.common import Problem
from spanledger.principal import Principal, Role

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RESPONSES = {  # by status, as components of the document
    "400": ("BadRequest", "Path or query are not UTF-8, or the body is not JSON"),
    "401": ("KeyNeeded", "No key, or one that is not good"),
    "402": ("BudgetUsedUp", "A budget is used up"),
    "403": ("Forbidden", "The key's role may not do this"),
    "404": ("NotFound", "There is no such thing in this tenant"),
    "408": ("TooSlow", "The body did not arrive in time"),
    "413": ("TooLarge", "The body is too large"),
    "415": ("UnsupportedMediaType", "The body is not of a type that is read here"),
    "421": ("Misdirected", "The request names a host that this service is not"),
    "422": ("Unusable", "A parameter or a part of the body cannot be used"),
    "429": ("TooMany", "A limit is used up; `Retry-After` says until when"),
    "5XX": ("Failure", "The service, or what it needs, failed or is busy"),
}
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer sl_…`"},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key in a header of its own",
    },
    "password": {"type": "http", "scheme": "basic", "description": "For browsers: any user, the key is the password"},
}
# On loopback without keys none is needed.
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {"password": []}, {}]
_DESCRIPTION = """Usage and cost of LLM applications, from OpenTelemetry spans.

Times are RFC 3339 in UTC, windows `[from, to)`. Money is a decimal text in USD. What is not known is null.
Errors are `application/problem+json` (RFC 9457). Every answer carries `X-Correlation-ID`.
"""
_TAGS = {
    "chat": "Conversations with a model, run and measured here.",
    "openai": "OpenAI's API: any of its clients can use this service as its base URL.",
    "embeddings": "Vectors of texts.",
    "conversations": "Messages and conversations with what they used.",
    "find": "Messages, spans, users and ids by filters.",
    "explain": "Where a figure comes from.",
    "prices": "The price book: rates, validity and the calls that used an entry.",
    "export": "Everything that fits, streamed: JSON lines, CSV, Parquet, OTLP.",
    "usage": "Tokens and cost by any dimension and time.",
    "traces": "Spans and logs of a trace.",
    "live": "Events as they happen, as server-sent events.",
    "books": "The books: audit, re-pricing, read-only SQL.",
    "erasures": "Takes out what is known of a user, a conversation or a trace.",
    "analysis": "What conversations were about; sealed statements.",
    "behaviour": "Patterns of users, workflows and errors.",
    "feedback": "What people and evaluators think of answers.",
    "agents": "Agents: definition, performance, decisions.",
    "tools": "Tools, grants, MCP servers.",
    "documents": "Documents and retrieval.",
    "prompts": "Prompts, profiles, preferences, names of models.",
    "experiments": "A/B tests and their results.",
    "jobs": "Workflows in the background, once or by a schedule.",
    "cache": "The response cache.",
    "keys": "Keys and their roles.",
    "limits": "Rate limits and budgets.",
    "audit": "The audit trail and compliance report.",
    "operations": "Health, flush, canaries, dead letters.",
}


def install(app: FastAPI) -> None:
    """Makes `document` what `/openapi.json` serves, made once and on a thread: it takes seconds on a busy machine."""
    guard = threading.Lock()

    def serve(_: Request) -> Response:
        with guard:
            return Response(json.dumps(_cached(app)), media_type="application/json")

    app.openapi = lambda: _cached(app)  # type: ignore[method-assign]
    app.add_route("/openapi.json", serve, include_in_schema=False)


def operation_id(route: APIRoute) -> str:
    """A handler is named as its operation is called: `list_conversations`, `get_audit`."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, made anew."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    components = found.setdefault("components", {})
    components["securitySchemes"] = _SECURITY_SCHEMES
    components["responses"] = {name: {"description": text, "content": _PROBLEM} for name, text in _RESPONSES.values()}
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _add_schemas(schemas)
    found["security"] = _SECURITY
    found = _with_plain_names(found)
    for path, method, operation in operations(found):
        _complete(path, method, operation)
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in capitals and operation of everything in a document."""
    for path, item in found["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method.upper(), operation


def _cached(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema


def _with_plain_names(found: dict[str, Any]) -> dict[str, Any]:
    """Lists and pages are called by their titles: `KeyList` in place of `Items_Key_`."""
    schemas = found["components"]["schemas"]
    names = {name: schema["title"] for name, schema in schemas.items() if name.startswith(("Items_", "Page_"))}
    text = json.dumps(found)
    for name, title in names.items():
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{title}"')
    renamed: dict[str, Any] = json.loads(text)
    parts = renamed["components"]["schemas"]
    renamed["components"]["schemas"] = dict(sorted((names.get(name, name), part) for name, part in parts.items()))
    return renamed


def _add_schemas(schemas: dict[str, Any]) -> None:
    for model in (Problem, DocumentBody, DocumentForm):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    declared = [status for status in responses if status in _RESPONSES]
    for status in dict.fromkeys((*declared, *_problem_statuses(path, operation))):
        responses[status] = {"$ref": f"#/components/responses/{_RESPONSES[status][0]}"}
    for parameter in operation.get("parameters", ()):
        if parameter["schema"].get("default") == "":  # not given
            del parameter["schema"]["default"]
    if path in OPEN:
        operation["security"] = []
    else:
        operation["x-roles"] = [role for role in get_args(Role) if may_call(Principal(role=role), method, path)] or [
            "operator"
        ]


def _problem_statuses(path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from ("421", "422", "5XX")  # an unknown parameter is refused everywhere
    if path not in OPEN:
        yield from ("401", "403", "429")
    if "{" in path:
        yield from ("400", "404")
    if "requestBody" in operation:
        yield from ("400", "408", "413", "415")
