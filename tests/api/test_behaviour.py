"""Patterns of users and workflows, and errors that are alike: from the real books through the real API."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otlp_make import trace_request
from system import WITHOUT_CHAT, System

Json = dict[str, Any]
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = {"from_": "2026-03-02", "to": "2026-03-30"}
SECOND = 10**9


def exchange(user: str, conversation: str, at: datetime, error: str = "", model: str = "gpt-4o-mini") -> bytes:
    """A message: a workflow with a call, a tool and a second call, the last of which may fail."""
    start = int(at.timestamp()) * SECOND
    ids = {"gen_ai.conversation.id": conversation, "user.id": user, "gen_ai.workflow.name": "helpdesk"}
    failed = {"status": {"code": 2, "message": error}} if error else {}
    spans: list[Json] = [
        {"name": "invoke_workflow helpdesk", "attributes": {"gen_ai.operation.name": "invoke_workflow"}, **failed},
        {"name": "chat", "attributes": _call(model)},
        {
            "name": "execute_tool search",
            "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
        },
        {"name": "chat", "attributes": _call(model), **failed},
    ]
    root = os.urandom(8)
    for number, span in enumerate(spans):
        span["attributes"] |= ids | ({"error.type": "rate_limit"} if "status" in span else {})
        span["start_time_unix_nano"] = start + number * SECOND
        span["end_time_unix_nano"] = start + (number + 1) * SECOND if number else start + 4 * SECOND
        span |= {"parent_span_id": root} if number else {"span_id": root}
    if error:
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
            del spans[3]["attributes"][name]
    body: bytes = trace_request(*spans, trace_id=os.urandom(16)).SerializeToString()
    return body


def _call(model: str) -> Json:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.id": os.urandom(8).hex(),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
    }


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Ann comes in three weeks, Ben in the first only, Eve in the third; two of Ben's messages fail."""
    running = System(tmp_path_factory.mktemp("behaviour") / "data", roles=WITHOUT_CHAT).start()
    nine = MONDAY + timedelta(hours=9)
    said = [
        exchange("ann", "a1", nine),
        exchange("ann", "a1", nine + timedelta(minutes=5)),
        exchange("ann", "a2", nine + timedelta(days=7)),
        exchange("ann", "a3", nine + timedelta(days=14)),
        exchange("ben", "b1", nine, "Rate limit of 3000 reached for 'org-77aa' in 2.5s"),
        exchange("ben", "b2", nine + timedelta(hours=6), "Rate limit of 5000 reached for 'org-12bc' in 9s"),
        exchange("eve", "e1", nine + timedelta(days=15), model="gpt-4o"),
    ]
    for body in said:
        status, _, _ = running.request(
            "POST", "/v1/traces", body, running.otlp_port, Content_Type="application/x-protobuf"
        )
        assert status == 200
    running.flush()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def test_users_have_sessions_hours_retention_and_models(up: System) -> None:
    found = up.get("behaviour", "users", **WEEK)
    assert (found["users"], found["sessions"], found["messages"], found["failed_messages"]) == (3, 6, 12, 2)
    assert (found["messages_per_session"], found["sessions_per_user"]) == (2.0, 2.0)
    assert found["peak_hours"] == [9, 15]
    assert {(one["hour"], one["weekday"]): one["messages"] for one in found["hours"]} == {
        (9, 1): 9,
        (9, 2): 2,
        (15, 1): 1,
    }
    assert found["retention"] == [
        {"week": "2026-03-02", "users": 2, "returned": [1.0, 0.5, 0.5]},
        {"week": "2026-03-16", "users": 1, "returned": [1.0]},
    ]
    assert {one["model"]: one["llm_calls"] for one in found["models"]} == {"gpt-4o-mini": 10, "gpt-4o": 2}
    assert sum(one["share"] for one in found["models"]) == pytest.approx(1)


def test_one_users_pattern_and_a_window(up: System) -> None:
    ann = up.get("behaviour", "users", user_id="ann", **WEEK)
    assert (ann["users"], ann["sessions"], ann["messages"], ann["retention"]) == (1, 3, 8, [])
    assert [one["model"] for one in ann["models"]] == ["gpt-4o-mini"]
    third = up.get("behaviour", "users", from_="2026-03-16", to="2026-03-23")
    assert (third["users"], [one["week"] for one in third["retention"]]) == (2, ["2026-03-16"])
    empty = up.get("behaviour", "users", from_="2020-01-01", to="2020-02-01")
    assert (empty["users"], empty["messages_per_session"], empty["hours"]) == (0, 0.0, [])


def test_workflows_have_runs_durations_failures_and_paths(up: System) -> None:
    (found,) = up.get("behaviour", "workflows", **WEEK)["items"]
    assert (found["workflow"], found["runs"], found["failed"], found["users"]) == ("helpdesk", 7, 2, 3)
    assert found["failure_share"] == pytest.approx(2 / 7, abs=1e-4)
    assert (found["p50_ms"], found["tools"], found["errors"]) == (4000.0, ["search"], ["rate_limit"])
    (path,) = found["paths"]
    assert (path["steps"], path["runs"], path["share"]) == (["chat", "search", "chat"], 7, 1.0)
    assert (path["with_failed_steps"], path["mean_ms"]) == (2, 3000.0)
    assert up.get("traces", path["example_trace_id"])["workflow"] == "helpdesk"
    assert up.get("behaviour", "workflows", workflow="nothing", **WEEK)["items"] == []


def test_errors_that_differ_in_numbers_and_names_are_one_cluster(up: System) -> None:
    (found,) = up.get("behaviour", "errors", **WEEK)["items"]  # the workflow's own failure only passes it on
    assert (found["errors"], found["conversations"], found["users"]) == (2, 2, 1)
    assert (found["error_type"], found["failed_in"]) == ("rate_limit", "chat")
    assert (found["provider"], found["model"]) == ("openai", "gpt-4o-mini")
    assert found["pattern"] == "Rate limit of <n> reached for <text> in <n>s"
    assert (found["first_at"], found["last_at"]) == ("2026-03-02T09:00:03.000000Z", "2026-03-02T15:00:03.000000Z")
    assert found["example_message"] == "Rate limit of 5000 reached for 'org-12bc' in 9s"
    assert up.get("traces", found["example_trace_id"])["user_id"] == "ben"


def test_what_nobody_would_read_is_refused(up: System) -> None:
    assert up.request("GET", "/v1/behaviour/users?colour=red")[0] == 422
    assert up.request("GET", "/v1/behaviour/errors?limit=0")[0] == 422
    assert up.request("GET", "/v1/behaviour/workflows?from=tomorrow")[0] == 422
