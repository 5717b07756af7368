"""Tools as a model asks for them: permitted or not, with good and bad arguments, and how they show in the books."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from calling_provider import CallingProvider
from platform_calls import call, events, key, named, ok, say, spans
from system import System

MODEL = "openai/caller"


@pytest.fixture(scope="module")
def provider() -> Iterator[CallingProvider]:
    with CallingProvider() as running:
        yield running


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, provider: CallingProvider) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("tools") / "data").start(**provider.environ)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def ask(system: System, user: str, *calls: tuple[str, str]) -> dict[str, Any]:
    """Has the model ask for tools with these names and arguments."""
    question = json.dumps([{"tool": tool, "arguments": arguments} for tool, arguments in calls])
    return say(system, f"tools-{user}", question, user_id=user, workflow="assistant", model=MODEL)


def test_a_tool_runs_with_the_models_arguments(system: System) -> None:
    answer = ask(system, "good", ("calculator", '{"expression": "6*7"}'))

    assert answer["content"] == "42"
    span = named(spans(system, answer["trace_id"]), "execute_tool calculator")
    assert (span["role"], span["tool"], span["status"]) == ("tool", "calculator", "unset")


def test_several_tools_at_once_answer_in_their_order(system: System) -> None:
    answer = ask(
        system,
        "several",
        ("calculator", '{"expression": "1+1"}'),
        ("convert_units", '{"value": 1, "from_unit": "km", "to_unit": "m"}'),
        ("calculator", '{"expression": "2+2"}'),
    )

    assert answer["content"].splitlines() == ["2", "1 km = 1000 m", "4"]


@pytest.mark.parametrize("asked", ["rm_rf", "tell bob's diagnosis", ""])
def test_an_unknown_tool_is_told_to_the_model(system: System, asked: str) -> None:
    """What a model makes up is content, which is not captured here."""
    answer = ask(system, "unknown", (asked, "{}"))

    assert answer["content"] == f"error: there is no tool {asked!r}"
    span = named(spans(system, answer["trace_id"]), "execute_tool unknown")
    assert (span["status"], span["error_type"]) == ("error", "unknown_tool")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{", "are not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "'expression' is a required property"),
        ('{"expression": 5}', "5 is not of type 'string'"),
        ('{"expression": "1", "more": 1}', "'more' was unexpected"),
        ('{"expression": "__import__(1)"}', "not an arithmetic expression"),
        (json.dumps({"expression": "1" * 70_000}), "more than 65536 characters"),
    ],
)
def test_bad_arguments_are_told_to_the_model(system: System, arguments: str, told: str) -> None:
    answer = ask(system, "bad", ("calculator", arguments))

    assert answer["content"].startswith("error: ")
    assert told in answer["content"]
    span = named(spans(system, answer["trace_id"]), "execute_tool calculator")
    assert (span["status"], span["error_type"]) == ("error", "invalid_arguments")


def test_a_denied_user_is_refused_and_others_are_not(system: System) -> None:
    ok(system, "PUT", "/v1/tool-grants/convert_units", {"deny": {"users": ["mallory"]}})
    wanted = ("convert_units", '{"value": 1, "from_unit": "km", "to_unit": "m"}')

    refused, served = ask(system, "mallory", wanted), ask(system, "alice", wanted)

    assert refused["content"] == "error: convert_units may not be used here: grant 'convert_units' denies it"
    assert served["content"] == "1 km = 1000 m"
    span = named(spans(system, refused["trace_id"]), "execute_tool convert_units")
    assert (span["status"], span["error_type"]) == ("error", "permission_denied")
    told = [e for e in events(system, "spanledger.security") if e.get("user.id") == "mallory"]
    assert [(e["spanledger.security.action"], e["spanledger.security.outcome"]) for e in told] == [
        ("tool.use", "denied")
    ]
    assert told[0]["spanledger.security.target"] == "tool/convert_units"


def test_whom_a_grant_does_not_name_is_refused(system: System) -> None:
    ok(system, "PUT", "/v1/tool-grants/clock", {"allow": {"users": ["alice"]}})
    try:
        assert "allows it to others only" in ask(system, "bob", ("clock", "{}"))["content"]
        assert "UTC" in ask(system, "alice", ("clock", "{}"))["content"]
    finally:
        ok(system, "DELETE", "/v1/tool-grants/clock")
    assert "UTC" in ask(system, "bob", ("clock", "{}"))["content"]


def test_the_most_specific_grant_counts(system: System) -> None:
    ok(system, "PUT", "/v1/tool-grants/*", {"deny": {"users": ["carol"]}})
    ok(system, "PUT", "/v1/tool-grants/clock", {})
    try:
        answer = ask(system, "carol", ("clock", "{}"), ("calculator", '{"expression": "1"}'))
        clock, calculator = answer["content"].splitlines()
        assert "UTC" in clock
        assert "grant '*' denies it" in calculator
        shown = {t["name"]: t["allowed"] for t in ok(system, "GET", "/v1/tools?user_id=carol")["items"]}
        assert (shown["clock"], shown["calculator"]) == (True, False)
    finally:
        ok(system, "DELETE", "/v1/tool-grants/*")
        ok(system, "DELETE", "/v1/tool-grants/clock")


def test_a_grant_by_role_and_one_of_another_tenant(system: System) -> None:
    acme = key(system, "acme", "chat")
    body = {"content": json.dumps({"tool": "clock", "arguments": "{}"}), "workflow": "assistant", "model": MODEL}
    ok(system, "PUT", "/v1/tool-grants/clock", {"deny": {"users": [], "roles": ["chat"]}})
    try:
        answer = ok(system, "POST", "/v1/conversations/acme-1/messages", body, **acme)
        assert "UTC" in answer["content"], "a grant of another tenant counts only if it names tenants"
        ok(system, "PUT", "/v1/tool-grants/clock", {"deny": {"tenants": ["acme"]}})
        answer = ok(system, "POST", "/v1/conversations/acme-1/messages", body, **acme)
        assert "denies it" in answer["content"]
        assert "UTC" in ask(system, "alice", ("clock", "{}"))["content"]
    finally:
        ok(system, "DELETE", "/v1/tool-grants/clock")
    ok(system, "PUT", "/v1/tool-grants/clock", {"deny": {"roles": ["chat"]}}, **key(system, "acme", "admin"))
    answer = ok(system, "POST", "/v1/conversations/acme-1/messages", body, **acme)
    assert "denies it" in answer["content"]
    assert ok(system, "GET", "/v1/tool-grants")["items"] == [
        grant for grant in ok(system, "GET", "/v1/tool-grants")["items"] if grant["name"] != "clock"
    ], "the other tenant's grants are not shown here"


def test_a_tools_usage_is_in_the_books(system: System) -> None:
    user = "counted"
    for expression in ("1+1", "2*3", "1/0"):
        ask(system, user, ("calculator", json.dumps({"expression": expression})))
    ask(system, user, ("calculator", "{}"))
    system.flush()

    usage = ok(system, "GET", "/v1/tools/calculator/usage?bucket=hour")

    assert {"user": user, "calls": 4, "failed_calls": 2} in usage["users"]
    runs = usage["runs"]
    assert (
        runs["calls"]
        == sum(row["calls"] for row in usage["users"])
        == sum(b["runs"]["calls"] for b in usage["buckets"])
    )
    assert runs["failed_calls"] == sum(row["calls"] for row in usage["errors"])
    assert runs["error_rate"] == runs["failed_calls"] / runs["calls"]
    assert 0 < runs["latency_ms"]["p50"] <= runs["latency_ms"]["p95"] <= runs["latency_ms"]["p99"]
    assert {row["error_type"]: row["calls"] for row in usage["errors"]}["invalid_arguments"] >= 2
    listed = {tool["name"]: tool["runs"]["calls"] for tool in ok(system, "GET", "/v1/tools")["items"]}
    assert listed["calculator"] == runs["calls"]
    assert ok(system, "GET", "/v1/tools/never/usage")["runs"]["calls"] == 0


def test_tools_that_only_the_books_know_are_listed_apart(system: System) -> None:
    foreign = {tool["name"] for tool in ok(system, "GET", "/v1/tools")["foreign"]}

    assert "unknown" in foreign
    assert "calculator" not in foreign


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("two words", {}, 422),
        ("clock", {"deny": {"user": ["x"]}}, 422),
        ("clock", {"timeout_s": 0}, 422),
        ("clock", {"allow": {"users": [""]}}, 422),
    ],
)
def test_grants_that_make_no_sense(system: System, name: str, body: Any, status: int) -> None:
    assert call(system, "PUT", f"/v1/tool-grants/{name.replace(' ', '%20')}", body)[0] == status


def test_a_grant_of_a_tool_that_is_not_there_is_refused_with_those_that_are(system: System) -> None:
    here = key(system, "elsewhere", "admin")
    for name in ("never", "calculator.never", "never.*", "never.tool"):
        status, answer = call(system, "PUT", f"/v1/tool-grants/{name}", {}, **here)
        assert (status, answer["title"]) == (422, "Unknown reference")
        assert f"there is no tool {name!r}; there are calculator, convert_units, clock" in answer["detail"]
    # A server that was never reached has tools, too.
    ok(system, "PUT", "/v1/mcp-servers/away", {"url": "http://127.0.0.1:9/mcp"}, **here)
    for name in ("away.*", "away.search", "*", "clock"):
        assert ok(system, "PUT", f"/v1/tool-grants/{name}", {}, **here)["name"] == name
    status, answer = call(system, "PUT", "/v1/tool-grants/never", {}, **here)
    assert (status, answer["detail"].endswith("clock, away.*")) == (422, True)
    # Once the server is gone its grant can still be taken away.
    assert call(system, "DELETE", "/v1/mcp-servers/away", **here)[0] == 204
    assert call(system, "DELETE", "/v1/tool-grants/away.*", **here)[0] == 204


def test_the_operators_grants_may_name_a_server_that_only_another_tenant_has(system: System) -> None:
    assert call(system, "PUT", "/v1/tool-grants/theirs.*", {"deny": {"users": ["bob"]}})[0] == 422
    ok(system, "PUT", "/v1/tool-grants/theirs.*", {"deny": {"tenants": ["acme"]}})
    assert call(system, "PUT", "/v1/tool-grants/theirs", {"deny": {"tenants": ["acme"]}})[0] == 422
    assert call(system, "DELETE", "/v1/tool-grants/theirs.*")[0] == 204
    body = {"deny": {"tenants": ["acme"]}}
    assert call(system, "PUT", "/v1/tool-grants/theirs.*", body, **key(system, "elsewhere", "admin"))[0] == 422


def test_a_grant_names_roles_that_there_are(system: System) -> None:
    for side in ("allow", "deny"):
        status, answer = call(system, "PUT", "/v1/tool-grants/clock", {side: {"roles": ["chat", "reader"]}})
        assert (status, "there is no role 'reader'; there are ingest, chat, read, admin" in answer["detail"]) == (
            422,
            True,
        )


def test_grants_are_for_admins(system: System) -> None:
    for role in ("read", "chat", "ingest"):
        assert call(system, "PUT", "/v1/tool-grants/clock", {}, **key(system, "acme", role))[0] == 403
