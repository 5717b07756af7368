"""What the tests of the platform ask a running system, in few words."""

import json
from typing import Any

from system import System


def call(system: System, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and body of a request with a JSON body, if any."""
    raw = None if body is None else json.dumps(body).encode()
    if raw is not None:
        headers.setdefault("Content_Type", "application/json")
    status, _, answer = system.request(method, path, raw, **headers)
    return status, answer


def ok(system: System, method: str, path: str, body: Any = None, **headers: str) -> Any:
    status, answer = call(system, method, path, body, **headers)
    assert status < 300, answer
    return answer


def say(system: System, conversation: str, content: str, **more: Any) -> dict[str, Any]:
    """The answer to a message."""
    path = f"/v1/conversations/{conversation}/messages"
    answer: dict[str, Any] = ok(system, "POST", path, {"content": content, **more})
    return answer


def spans(system: System, trace_id: str) -> list[dict[str, Any]]:
    """All spans of a trace, when everything is settled."""
    system.flush()
    found: list[dict[str, Any]] = system.get("traces", trace_id)["spans"]
    return found


def named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one span of that name."""
    (span,) = [span for span in found if span["name"] == name]
    return span


def key(system: System, tenant: str, role: str) -> dict[str, str]:
    """A header that makes the request another tenant's."""
    return {"Authorization": f"Bearer {ok(system, 'POST', '/v1/keys', {'tenant': tenant, 'role': role})['key']}"}


def events(system: System, name: str, tenant: str = "default", **headers: str) -> list[dict[str, str]]:
    """The attributes of the log records with an event name, in their order."""
    system.flush("spans")
    query = f"SELECT LogAttributes FROM otel_logs WHERE EventName = '{name}' AND Tenant = '{tenant}' ORDER BY Timestamp"
    return [row["LogAttributes"] for row in rows(system, query, **headers)]


def rows(system: System, query: str, **headers: str) -> list[dict[str, Any]]:
    answer = ok(system, "POST", "/v1/sql", {"query": query}, **headers)
    names = [column["name"] for column in answer["meta"]]
    return [dict(zip(names, row, strict=True)) for row in answer["data"]]
