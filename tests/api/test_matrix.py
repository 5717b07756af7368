"""Every door × tenant × role × kind of id, from the OpenAPI document: a new route is in it by itself.

An id of another tenant must be answered exactly as an id that nobody has, with every key and on every route.
"""

import http.client
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from guarded import Caller
from spanledger.api.app import app_with_routes
from spanledger.api.openapi import operations
from spanledger.settings import Settings
from system import System
from tenants import ask, own_tenant, put

ROLES = ("ingest", "chat", "read", "admin")
DOCUMENT: dict[str, Any] = app_with_routes(Settings()).openapi()
OPERATIONS = list(operations(DOCUMENT))
OPEN = {"/healthz", "/readyz"}
# Waits for everything, or concerns the whole machine: without ids, and the other tests of roles have them.
APART = {"flush", "send_canary"}
BODIES: dict[str, Any] = {
    "send_message": {"content": "hello"},
    "put_agent": {},
    "put_tool_grant": {},
    "put_mcp_server": {"url": "http://127.0.0.1:9/"},
    "put_prompt": {"text": "x"},
    "put_prompt_label": {"version": 1},
    "put_profile": {},
    "put_experiment": {"variants": [{"name": "a"}, {"name": "b"}]},
    "put_evaluator": {"check": {"kind": "length", "max": 5}},
    "give_feedback": {"rating": 1},
    "evaluate_message": {"evaluators": ["nobody"], "answer": "x"},
    "put_limit": {"scope": "user", "match": "nobody", "requests_per_minute": 1000},
    "put_preferences": {},
    "create_erasure": {"trace_id": "nobodys", "scope": "content"},
}
# Differs from answer to answer for reasons that are no leak.
_VOLATILE = re.compile(
    r"(.*_at|at|as_of|.*_ms|correlation_id|trace_id|trace_ids|message_id|agent_id|job_id|key_id|span_id|parent_span_id|digest|start|run)"
    r"|run_id"  # of the ledger: it begins with the second of the settlement
    r"|history|entries"  # of /v1/explain: in how many runs the stranger's own message came into its books
)
# Ids and times that a request makes itself, wherever they stand.
_MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,64}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d{13,}")


@dataclass(frozen=True)
class Ids:
    """One id of every kind, by the names of parameters."""

    by_name: dict[str, str]

    def of(self, name: str) -> str | None:
        return self.by_name.get(name)


@pytest.fixture(scope="module")
def victim(system: System) -> Iterator[tuple[Caller, Ids]]:
    """A tenant that has one of everything, called by words that nobody else has."""
    name = f"secret-{uuid.uuid4().hex[:10]}"
    with own_tenant(system) as owner:
        yield owner, _populate(owner, name)


def _populate(owner: Caller, name: str) -> Ids:
    answer = ask(owner, name, f"{name} asks", user_id=name)
    put(owner, f"/v1/prompts/{name}", {"text": name})
    put(owner, f"/v1/prompts/{name}/labels/{name}", {"version": 1})
    put(owner, f"/v1/profiles/{name}", {"description": name})
    put(owner, f"/v1/agents/{name}", {"description": name})
    put(owner, f"/v1/evaluators/{name}", {"check": {"kind": "contains", "texts": [name]}})
    put(owner, f"/v1/experiments/{name}", {"variants": [{"name": "a"}, {"name": "b"}], "description": name})
    put(owner, f"/v1/limits/{name}", {"scope": "user", "match": name, "requests_per_minute": 1000})
    put(owner, f"/v1/mcp-servers/{name}", {"url": f"http://127.0.0.1:9/{name}"})
    put(owner, f"/v1/tool-grants/{name}.*", {"deny": {"users": [name]}})
    put(owner, f"/v1/users/{name}/preferences", {"tone": "plain"})
    status, job = owner.call("POST", "/v1/jobs", {"content": name, "schedule": "0 3 1 1 *"})
    assert status == 202, job
    status, document = owner.call("POST", "/v1/documents", {"text": name, "name": name})
    assert status == 201, document
    assert (
        owner.call("POST", f"/v1/messages/{answer['message_id']}/feedback", {"rating": -1, "comment": name})[0] == 202
    )
    status, headers, _ = owner.system.request("GET", "/v1/audit?wait=0", **owner.headers)
    assert status == 202
    owner.system.flush()
    status, erasure = owner.call("POST", "/v1/erasures", {"trace_id": f"{name}-elsewhere", "scope": "content"})
    assert status == 202, erasure
    trace = owner.get("traces", answer["trace_id"])
    said = dict.fromkeys(("name", "label", "conversation_id", "conversation", "user_id", "user", "prefix"), name)
    tenant = owner.get("keys")["items"][0]["tenant"]
    return Ids(
        {
            **said,
            **dict.fromkeys(("agent", "prompt", "q", "actor"), name),
            **dict.fromkeys(("message_id", "message", "id"), answer["message_id"]),
            **dict.fromkeys(("trace_id", "trace"), answer["trace_id"]),
            **dict.fromkeys(("span_id", "span"), trace["spans"][0]["span_id"]),
            **dict.fromkeys(("correlation_id", "correlation"), answer["correlation_id"]),
            "job_id": job["job_id"],
            "erasure_id": erasure["erasure_id"],
            "document_id": document["document_id"],
            "operation_id": headers["location"].rsplit("/", 1)[1],
            "key_id": owner.key_id,
            "model": f"agent/{name}",
            "tenant": tenant,
            "variant": f"{name}/a",
        }
    )


def unknown(ids: Ids) -> Ids:
    """Ids of the same forms that nobody has; what is equal stays equal."""
    other: dict[str, str] = {}
    for value in ids.by_name.values():
        for part in re.findall(r"[0-9a-f]{10,}", value):
            other.setdefault(part, uuid.uuid4().hex[: len(part)].ljust(len(part), "0"))
    return Ids({name: _translated(value, other) for name, value in ids.by_name.items()})


def _translated(value: str, other: dict[str, str]) -> str:
    for part, replacement in other.items():
        value = value.replace(part, replacement)
    return value if any(part in value for part in other.values()) else f"{value[:-4]}zzzz"


def test_every_parameter_of_a_path_is_a_kind_of_id_that_is_tried(victim: tuple[Caller, Ids]) -> None:
    _, ids = victim
    names = {name for path, _, _ in OPERATIONS for name in re.findall(r"{(\w+)}", path)}
    assert {name for name in names if ids.of(name) is None} == set(), "give _populate one of this kind"


@pytest.mark.parametrize("role", ROLES)
def test_another_tenants_id_is_answered_like_one_that_nobody_has(
    system: System, victim: tuple[Caller, Ids], role: str
) -> None:
    owner, theirs = victim
    nobodys = unknown(theirs)
    with own_tenant(system, role) as stranger:
        for path, method, operation in _with_ids():
            for parameter in [None, *_named(operation, theirs)]:
                if parameter is None and "{" not in path:
                    continue
                answers = [_ask(stranger, method, path, operation, ids, parameter) for ids in (nobodys, theirs)]
                until = time.monotonic() + 30
                while method == "GET" and answers[0] != answers[1] and time.monotonic() < until:
                    # What the stranger wrote under these ids comes into its own books at different times.
                    system.flush()
                    answers = [_ask(stranger, method, path, operation, ids, parameter) for ids in (nobodys, theirs)]
                where = f"{role}: {method} {path} {parameter or ''}"
                assert answers[0] == answers[1], where
    _still_there(owner, theirs)


def _with_ids() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, method, operation in OPERATIONS:
        if path not in OPEN and operation["operationId"] not in APART:
            yield path, method, operation


def _named(operation: dict[str, Any], ids: Ids) -> list[str]:
    """Query parameters that take an id."""
    return [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query" and ids.of(p["name"])]


def _ask(
    caller: Caller, method: str, path: str, operation: dict[str, Any], ids: Ids, parameter: str | None
) -> tuple[int, str]:
    """Status and text of the answer, without the ids that were asked for and what differs each time."""
    target = re.sub(r"{(\w+)}", lambda m: quote(ids.by_name[m[1]], safe=""), path)
    if parameter is not None:
        target += "?" + urlencode({parameter: ids.by_name[parameter]})
    body = BODIES.get(operation["operationId"]) if "requestBody" in operation else None
    status, answer = _exchange(caller, method, target, body)
    text = json.dumps(_steady(answer), sort_keys=True)
    for value in sorted(set(ids.by_name.values()), key=len, reverse=True):
        text = text.replace(value, "(id)")
    return status, _MADE_UP.sub("(new)", text)


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "(volatile)" if _VOLATILE.fullmatch(key) else _steady(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_steady(inner) for inner in value]
    return value


def _exchange(caller: Caller, method: str, target: str, body: Any) -> tuple[int, Any]:
    """Like `Caller.call`; of a stream only the status."""
    connection = http.client.HTTPConnection("127.0.0.1", caller.system.port, timeout=caller.system.timeout_s)
    try:
        raw = None if body is None else json.dumps(body)
        connection.request(method, target, raw, {"Content-Type": "application/json", **caller.headers})
        response = connection.getresponse()
        kind = response.getheader("content-type") or ""
        if kind.startswith("text/event-stream"):
            response.close()  # closing the connection leaves the socket to the answer
            return response.status, None
        text = response.read().decode("utf-8", "replace")
        if "ndjson" in kind:
            return response.status, [json.loads(line) for line in text.splitlines()]
        return response.status, json.loads(text) if "json" in kind else text
    finally:
        connection.close()


def _still_there(owner: Caller, ids: Ids) -> None:
    """Nothing that the stranger did has touched what the owner has."""
    name = ids.by_name["name"]
    for kind in ("agents", "prompts", "profiles", "evaluators", "experiments", "limits", "mcp-servers"):
        assert owner.call("GET", f"/v1/{kind}/{name}")[0] == 200, kind
    assert owner.get("agents", name)["version"] == 1
    assert owner.get("users", name, "preferences")["tone"] == "plain"
    assert owner.get("jobs", ids.by_name["job_id"])["state"] == "scheduled"
    assert owner.get("documents", ids.by_name["document_id"])["passages"]
    feedback = owner.get("messages", ids.by_name["message_id"], "feedback")
    assert [item["score"] for item in feedback["items"]] == [0.0]
    assert len(owner.get("conversations", name, "messages")["items"]) == 1
    assert owner.get("erasures", ids.by_name["erasure_id"])["kind"] == "trace"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_document_says_and_nothing_else(system: System, role: str) -> None:
    nobodys = Ids({name: "nobody" for path, _, _ in OPERATIONS for name in re.findall(r"{(\w+)}", path)})
    with own_tenant(system, role) as caller:
        for path, method, operation in _with_ids():
            status, _ = _ask(caller, method, path, operation, nobodys, None)
            assert (status == 403) == (role not in operation["x-roles"]), f"{role}: {method} {path} → {status}"


def test_ingest_keys_read_nothing_and_read_keys_write_nothing() -> None:
    for path, method, operation in _with_ids():
        assert "ingest" not in operation["x-roles"], path
        if method != "GET" and "read" in operation["x-roles"]:
            assert operation["operationId"] in ("run_sql", "check_usage_export"), path


def test_a_key_that_is_not_good_opens_no_door(system: System) -> None:
    with own_tenant(system) as caller:
        revoked = Caller(system, caller.key)
    for path, method, operation in _with_ids():
        target = re.sub(r"{\w+}", "x", path)
        body = BODIES.get(operation["operationId"]) if "requestBody" in operation else None
        assert _exchange(revoked, method, target, body)[0] == 401, f"{method} {path}"
