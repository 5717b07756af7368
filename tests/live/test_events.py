"""`GET /v1/events` of a running system: what is told, to whom, in which order, and what a reader who was away gets."""

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otlp_make import trace_request
from sse import Reader, Told
from system import System

_numbers = itertools.count(1)
WORDS = "Tell me about ledgers."


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("live") / "data").start(SPANLEDGER_CANARY_INTERVAL_S="0")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


@pytest.fixture
def conversation() -> str:
    return f"conv-live-{next(_numbers)}"


def say(live: System, conversation: str, content: str = WORDS, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = live.post(f"/v1/conversations/{conversation}/messages", {"content": content, **more})
    return body


def read(live: System, **params: str) -> Reader:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return Reader(live.port, f"/v1/events?{query}")


def types(told: list[Told]) -> list[str]:
    return [event.type for event in told]


def ended(told: list[Told]) -> bool:
    """A run's end and its books; which comes first is open, as is how often the books are told."""
    return {"workflow_completed", "usage"} <= set(types(told))


def books_of(told: list[Told]) -> Any:
    """What the books said last."""
    return next((event.data["usage"] for event in reversed(told) if event.type == "usage"), None)


def without_usage(told: list[Told]) -> list[Told]:
    return [event for event in told if event.type != "usage"]


def test_a_run_is_told_from_its_start_to_its_books(live: System, conversation: str) -> None:
    with read(live, conversation_id=conversation) as reader:
        reply = say(live, conversation, user_id="user-live")
        told = reader.until(lambda told: ended(told) and books_of(told) == reply["usage"])

    assert types(without_usage(told)) == [
        "workflow_started",
        "node_started",
        "model_response",
        "node_completed",
        "workflow_progress",
        "workflow_completed",
    ]
    for event in told:
        assert event.data["type"] == event.type
        assert event.data["conversation_id"] == conversation
        assert event.data["user_id"] == "user-live"
        assert event.data["trace_id"] == reply["trace_id"]
        assert event.data["message_id"] == reply["message_id"]
    by = {event.type: event.data for event in told}
    usage = reply["usage"]
    assert by["node_started"]["node"] == "model"
    assert by["model_response"]["provider"] == "offline"
    assert by["model_response"]["finish_reason"] == "stop"
    assert by["model_response"]["tokens"] == usage["total_tokens"]
    assert by["workflow_completed"]["tokens"] == usage["total_tokens"]
    assert Decimal(by["workflow_completed"]["cost"]) == Decimal(usage["cost_usd"])
    assert by["workflow_completed"]["ms"] > by["model_response"]["ms"] > 0
    assert by["workflow_completed"]["correlation_id"] == reply["correlation_id"]


def test_tools_and_progress_are_told_in_order(live: System, conversation: str) -> None:
    with read(live, conversation_id=conversation) as reader:
        say(live, conversation, "what is 12*7?", workflow="assistant")
        told = reader.until_type("workflow_completed")

    assert types(told) == [
        "workflow_started",
        *("node_started", "model_response", "node_completed", "workflow_progress"),
        *("node_started", "tool_called", "node_completed", "workflow_progress"),
        *("node_started", "model_response", "node_completed", "workflow_progress"),
        "workflow_completed",
    ]
    (tool,) = (event.data for event in told if event.type == "tool_called")
    assert (tool["tool"], tool["status"]) == ("calculator", "ok")
    progress = [event.data for event in told if event.type == "workflow_progress"]
    assert [(p["node"], p["nodes_completed"], p["model_calls"]) for p in progress] == [
        ("model", 1, 1),
        ("tools", 2, 1),
        ("model", 3, 2),
    ]


def test_a_failed_run_says_why_and_who_must_look(live: System, conversation: str) -> None:
    with read(live, conversation_id=conversation) as reader:
        status, _, _ = live.request(
            "POST",
            f"/v1/conversations/{conversation}/messages",
            json.dumps({"content": "x", "model": "nobody/knows-this"}).encode(),
            Content_Type="application/json",
        )
        told = reader.until_type("workflow_failed")

    assert status == 422
    failed = told[-1].data
    assert failed["error"]["type"] == "unknown_model"
    assert failed["priority"] == "low"
    assert failed["tokens"] == 0
    assert failed["cost"] is None


def test_filters_let_through_what_was_asked_for(live: System, conversation: str) -> None:
    other = conversation + "-other"
    with (
        read(live, user_id=f"u-{conversation}") as of_user,
        read(live, conversation_id=conversation, type="workflow_started,usage") as of_types,
        read(live, conversation_id=other, type="node_started&type=node_completed") as of_two,
    ):
        say(live, other, user_id="somebody")
        reply = say(live, conversation, user_id=f"u-{conversation}")
        told_user = of_user.until(ended)
        told_types = of_types.until_type("usage")
        told_two = of_two.until_type("node_completed")
    with read(live, trace_id=reply["trace_id"], last_event_id=told_user[0].id) as of_trace:
        told_trace = of_trace.until(ended)

    assert {event.data["trace_id"] for event in told_user} == {reply["trace_id"]}
    assert list(dict.fromkeys(types(told_types))) == ["workflow_started", "usage"]
    assert types(told_two) == ["node_started", "node_completed"]
    assert [event.id for event in _run(told_trace, reply["trace_id"])] == [
        event.id for event in without_usage(told_user)[1:]
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type=everything", "workflow_started"),
        ("conversation=c", "conversation_id"),
        ("user_id=", "user_id"),
        ("last_event_id=../../etc", "Last-Event-ID"),
        ("last_event_id=99999999999999999999.0.x~1.0.", "Last-Event-ID"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(live: System, query: str, names: str) -> None:
    status, headers, problem = live.request("GET", f"/v1/events?{query}")

    assert status == 422
    assert headers["content-type"] == "application/problem+json"
    assert names in problem["detail"]


def test_readers_who_come_back_get_what_they_missed_once_and_in_order(live: System, conversation: str) -> None:
    user = f"u-{conversation}"
    with read(live, user_id=user) as reader:
        say(live, conversation, user_id=user)
        say(live, conversation, "what is 3*4?", user_id=user, workflow="assistant")
        live.flush()  # a message whose spans settle in two goes has its usage told twice
        last = say(live, conversation, user_id=user)["message_id"]

        def to_the_last_usage(told: list[Told]) -> list[Told]:
            ends = [i for i, t in enumerate(told) if t.type == "usage" and t.data["message_id"] == last]
            return told[: ends[0] + 1] if ends else []

        whole = to_the_last_usage(reader.until(to_the_last_usage))

    for place in (0, 3, len(whole) - 2):
        with Reader(live.port, f"/v1/events?user_id={user}", Last_Event_ID=whole[place].id) as again:
            told = to_the_last_usage(again.until(to_the_last_usage))
        assert told == whole[place + 1 :]


def test_other_applications_are_told_of_when_their_spans_are_settled(live: System, conversation: str) -> None:
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.conversation.id": conversation,
        "user.id": "user-foreign",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    }
    body = trace_request(
        {"name": "chat gpt-4o-mini", "attributes": said}, resource={"service.name": "shop"}
    ).SerializeToString()
    with read(live, conversation_id=conversation) as reader:
        live.export(body)
        told = reader.until_type("usage")
        live.export(body)  # the same once more: nothing new
        say(live, conversation + "-x")
        live.flush()

    assert types(told) == ["workflow_started", "model_response", "workflow_completed", "usage"]
    response = told[1].data
    assert (response["provider"], response["model"], response["tokens"]) == ("openai", "gpt-4o-mini", 120)
    assert response["service"] == "shop"
    assert Decimal(response["cost"]) > 0
    assert told[-1].data["usage"]["cost_usd"] == response["cost"]
    assert len(reader.told) == 4


def test_what_came_while_the_service_was_down_is_told_after_it(tmp_path: Path) -> None:
    system = System(tmp_path / "data").start(SPANLEDGER_CANARY_INTERVAL_S="0")
    with Reader(system.port) as reader:
        first = say(system, "conv-before")
        told = reader.until_type("workflow_completed")
        system.flush()
        whole = reader.until_type("usage")
        system.stop()
        assert reader.ended.wait(30)
    assert reader.told[-1].type == "closing"
    system.start(SPANLEDGER_CANARY_INTERVAL_S="0")
    second = say(system, "conv-after")
    try:
        with Reader(system.port, Last_Event_ID=told[2].id) as again:
            later = again.until(
                lambda told: any(t.type == "usage" and t.data["message_id"] == second["message_id"] for t in told)
            )
    finally:
        system.stop()

    # Usage is told at each posting: a message whose spans settle in two goes has it twice.
    assert _run(later, first["trace_id"]) == _run(whole[3:], first["trace_id"])
    assert types(_run(later, second["trace_id"]))[-1] == "workflow_completed"
    assert {event.data["trace_id"] for event in later if event.type == "usage"} == {
        first["trace_id"],
        second["trace_id"],
    }
    assert len({event.id for event in later}) == len(later)


def _run(told: list[Told], trace_id: str) -> list[Told]:
    """What the spans of a run told."""
    return [e for e in told if e.data.get("trace_id") == trace_id and e.type not in ("audit", "usage")]
