"""Errors as RFC 9457 `application/problem+json`: all errors get this form here.

    {"type": "urn:spanledger:problem:unknown-model", "title": "Unknown model", "status": 422,
     "detail": "no provider is known for …", "correlation_id": "…"}

Requests to the OpenAI-compatible paths also get the `error` member that OpenAI's clients read.
"""

import http
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from spanledger.errors import SpanledgerError, public_message, telemetry_message
from spanledger.telemetry import ids
from spanledger.telemetry.errors import error_type
from spanledger.workflows.model import ModelError

MEDIA_TYPE = "application/problem+json"
_MAX_ERRORS = 5
_MAX_READ = 50
_MAX_NAME = 100
_OF_NO_VALUE = frozenset({"missing", "json_invalid"})  # what stands last is not in the body
_log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem. Unexpected ones are caught in `correlation`."""
    app.add_exception_handler(SpanledgerError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def problem(status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """A problem response. `more` are extension members."""
    body = {
        "type": "urn:spanledger:problem:" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"),
        "title": title,
        "status": status,
        "detail": detail,
        "correlation_id": ids.current().correlation_id,
        **more,
    }
    return Response(json.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def of_error(error: Exception, *, openai: bool = False) -> Response:
    """The problem that tells of `error`. An unexpected one says nothing about its inside."""
    headers = dict(error.headers) if isinstance(error, SpanledgerError) else {}
    more = dict(error.members) if isinstance(error, SpanledgerError) else {}
    if isinstance(error, ModelError) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    status, title, detail = _described(error)
    if not openai:
        return problem(status, title, detail, headers=headers, **more)
    member = openai_error(error)
    status = 404 if member["code"] == _NOT_FOUND else status  # as OpenAI answers
    return problem(status, title, detail, headers=headers, **more, error=member)


def openai_error(error: Exception) -> dict[str, Any]:
    """The `error` object of OpenAI's API."""
    status, _, detail = _described(error)
    code = error_type(error) if isinstance(error, SpanledgerError) else "internal_error"
    if code == "unknown_model":
        return _openai_error(status, detail, _NOT_FOUND, "model")
    return _openai_error(status, detail, code)


_NOT_FOUND = "model_not_found"
# What begins so is OpenAI's, also where nothing is served there: its clients read its errors alone.
_OPENAI_PATHS = (
    *("/v1/chat/", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/models", "/v1/audio/", "/v1/images/"),
    *(
        "/v1/moderations",
        "/v1/files",
        "/v1/uploads",
        "/v1/batches",
        "/v1/fine_tuning/",
        "/v1/assistants",
        "/v1/threads",
    ),
    *("/v1/vector_stores", "/v1/realtime", "/v1/videos", "/v1/engines", "/v1/evals", "/v1/containers"),
)
_OPENAI_KINDS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def _openai_error(status: int, detail: str, code: str, param: str | None = None) -> dict[str, Any]:
    kind = _OPENAI_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"message": detail, "type": kind, "param": param, "code": code}


def _described(error: Exception) -> tuple[int, str, str]:
    """Status, title and detail for the caller."""
    if isinstance(error, SpanledgerError):
        return error.status, error.title, public_message(error)
    return 500, "Internal error", "something went wrong inside; the log holds it under this correlation id"


def _framework(
    request: Request,
    status: int,
    title: str,
    detail: str,
    code: str,
    headers: Mapping[str, str] | None = None,
    param: str | None = None,
) -> Response:
    more = {"error": _openai_error(status, detail, code, param)} if for_openai(request) else {}
    return problem(status, title, detail, headers=headers, **more)


def for_openai(request: Request) -> bool:
    """Whether the request came to a path of OpenAI's API."""
    return is_openais(request.url.path)


def is_openais(path: str) -> bool:
    return path.startswith(_OPENAI_PATHS)


async def _expected(request: Request, error: Exception) -> Response:
    request.state.problem = error_type(error)
    if isinstance(error, SpanledgerError) and error.status >= 500:
        _log.warning("%s %s: %s", request.method, request.url.path, telemetry_message(error))
    return of_error(error, openai=for_openai(request))


async def _invalid(request: Request, error: Exception) -> Response:
    """Broken JSON is 400; JSON that does not say what it must, 422."""
    assert isinstance(error, RequestValidationError)
    request.state.problem = "invalid_request"
    found = error.errors()
    if any(e["loc"] == ("body",) for e in found) and not _is_json(request):
        # Strict on purpose: what a web page may send here without a CORS preflight is never declared as JSON.
        return _framework(
            request, 415, "Unsupported Media Type", "send the body with Content-Type: application/json", "not_json"
        )
    placed = [(_place(e["loc"], e["type"], error.body), _reason(e["msg"])) for e in found[:_MAX_READ]]
    places = {place for place, _ in placed}
    # If a value may have several forms, report the errors of the one that it matches best.
    messages = dict.fromkeys(
        f"{place}: {reason}" for place, reason in placed if not any(other.startswith(f"{place}.") for other in places)
    )
    detail = "; ".join([*messages][:_MAX_ERRORS])
    if any(e["type"] == "json_invalid" for e in found):
        return _framework(request, 400, "Malformed JSON", f"the body is not JSON: {detail}", "invalid_json")
    return _framework(request, 422, "Unusable request", detail, "invalid_request", param=_param(detail, error.body))


async def _http(request: Request, error: Exception) -> Response:
    """Errors of the framework: no such route, wrong method, unreadable body."""
    assert isinstance(error, HTTPException)
    title = http.HTTPStatus(error.status_code).phrase
    detail = error.detail
    if error.status_code == 400 and error.__cause__ is not None:
        request.state.problem = "invalid_json"
        detail = f"the body is not JSON: {_unreadable(error.__cause__)}"
        return _framework(request, 400, "Malformed JSON", detail, "invalid_json")
    if error.status_code == 404 and detail == title:
        detail = f"there is no {request.url.path[:200]}; /openapi.json lists what there is"
    elif error.status_code == 405:
        detail = f"{request.method} is not possible here; the Allow header says what is"
    request.state.problem = code = title.lower().replace(" ", "_")
    return _framework(request, error.status_code, title, detail, code, error.headers)


def _place(location: tuple[Any, ...], kind: str, body: Any) -> str:
    """Where the error is, as `body.messages.0.role`. Names of validators, which stand between, are left out."""
    where, *steps = location
    if where != "body":
        return ".".join(str(part) for part in location[:2])
    path, inside = [str(where)], body
    for number, step in enumerate(steps, 1):
        try:
            inside = inside[step]
        except (TypeError, LookupError):
            if number < len(steps) or kind not in _OF_NO_VALUE:
                continue
        path.append(str(step)[:_MAX_NAME])
    return ".".join(path)


def _param(detail: str, body: Any) -> str | None:
    """Which member of the body the first error is about, as OpenAI writes it: `messages[0].role`."""
    place, _, reason = detail.partition("; ")[0].partition(": ")
    if place.startswith("body."):
        return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", place.removeprefix("body."))
    named = _NAMED_PARAMETER.match(reason)
    name = named[1] or named[2] if named is not None else ""
    return name if isinstance(body, dict) and name in body else None


_NAMED_PARAMETER = re.compile(r"unknown parameter '([^']+)'|(\w+): ")


def _unreadable(cause: BaseException) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    return "a number in it has too many digits" if isinstance(cause, ValueError) else "it cannot be read"


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
