"""The four checks that this project began with, over the real path: request → spans → books → API."""

import json
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from system import System


@pytest.fixture
def conversation() -> str:
    return f"seed-{uuid.uuid4().hex[:10]}"


def say(system: System, conversation: str, content: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"content": content, "user_id": "ada", **fields}).encode()
    path = f"/v1/conversations/{conversation}/messages"
    status, _, answer = system.request("POST", path, body, Content_Type="application/json")
    assert status == 200, answer
    reply: dict[str, Any] = answer
    return reply


def settled(system: System) -> None:
    system.flush()


def test_token_stats_are_persisted_per_message(system: System, conversation: str) -> None:
    reply = say(system, conversation, "How do tides work?")
    settled(system)
    message = system.get("messages", reply["message_id"])
    assert message["usage"] == reply["usage"]
    assert message["usage"]["input_tokens"] > 0
    assert message["usage"]["output_tokens"] > 0
    assert Decimal(message["usage"]["cost_usd"]) > 0
    assert message["providers"] == ["offline"]
    assert (message["conversation_id"], message["user_id"]) == (conversation, "ada")


def test_workflow_execution_is_tracked_with_usage(system: System, conversation: str) -> None:
    reply = say(system, conversation, "What is 12 * 7?", workflow="assistant")
    settled(system)
    trace = system.get("traces", reply["trace_id"])
    assert trace["usage"] == reply["usage"]
    assert trace["usage"]["llm_calls"] == 2, "the model asks for the tool, then answers"
    assert system.get("messages", reply["message_id"])["workflow"] == "assistant"
    grouped = system.get("usage", group_by="workflow,tool", conversation=conversation)["groups"]
    assert {group["workflow"] for group in grouped} == {"assistant"}


def test_the_lifecycle_is_recorded(system: System, conversation: str) -> None:
    reply = say(system, conversation, "What is 3 + 4?", workflow="assistant")
    body = json.dumps({"content": "no", "user_id": "ada", "model": "offline/error-500"}).encode()
    path = f"/v1/conversations/{conversation}/messages"
    status, headers, _ = system.request("POST", path, body, Content_Type="application/json")
    assert status == 502
    settled(system)
    spans = system.get("traces", reply["trace_id"])["spans"]
    names = [span["name"] for span in spans]
    assert "invoke_workflow assistant" in names
    assert any(name.startswith("execute_tool") for name in names)
    nodes = [span for span in spans if "spanledger.node.name" in span["attributes"]]
    assert nodes, names
    assert all(span["started_at"] and span["duration_ms"] is not None for span in spans)
    failed = system.get("correlations", headers["x-correlation-id"])
    assert any(span["status"] == "error" for span in failed["spans"])


def test_conversation_totals_after_three_messages(system: System, conversation: str) -> None:
    replies = [say(system, conversation, text) for text in ("One.", "And two?", "And three?")]
    settled(system)
    found = system.get("conversations", conversation)
    assert found["message_count"] == 6
    for field in ("llm_calls", "input_tokens", "output_tokens", "total_tokens"):
        assert found["usage"][field] == sum(reply["usage"][field] for reply in replies), field
    assert Decimal(found["usage"]["cost_usd"]) == sum(Decimal(reply["usage"]["cost_usd"]) for reply in replies)
    items = system.get("conversations", conversation, "messages")["items"]
    assert [item["message_id"] for item in items] == [reply["message_id"] for reply in replies]


def test_a_replys_numbers_are_there_without_being_asked_to_hurry(system: System, conversation: str) -> None:
    reply = say(system, conversation, "Soon?")
    deadline = time.monotonic() + 30
    while True:
        status, _, found = system.request("GET", f"/v1/conversations/{conversation}")
        if status == 200 and found["usage"]["llm_calls"] == reply["usage"]["llm_calls"]:
            return
        assert time.monotonic() < deadline, found
