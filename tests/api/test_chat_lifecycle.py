"""What one process after another does: restarts, and the switch for content."""

import json
from pathlib import Path
from typing import Any

import httpx

from chat_service import ChatService


def send(client: httpx.Client, conversation: str, content: str, **more: Any) -> dict[str, Any]:
    response = client.post(f"/v1/conversations/{conversation}/messages", json={"content": content, **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_with_the_switch_on_content_is_captured(tmp_path: Path) -> None:
    with (
        ChatService(tmp_path, capture_content=True) as talkative,
        httpx.Client(base_url=talkative.url, timeout=30) as http,
    ):
        send(http, "conv-open", "my word is zanzibar, what is 5*5?", workflow="assistant")
        sink = talkative.flush()

    first, second = sink.named("chat small")
    asked = json.loads(first.attributes["gen_ai.input.messages"])
    assert asked[-1] == {
        "role": "user",
        "parts": [{"type": "text", "content": "my word is zanzibar, what is 5*5?"}],
    }
    answered = json.loads(second.attributes["gen_ai.output.messages"])
    assert "25" in answered[0]["parts"][0]["content"]
    tool = sink.one("execute_tool calculator")
    assert tool.attributes["gen_ai.tool.call.arguments"] == '{"expression": "5*5"}'
    assert tool.attributes["gen_ai.tool.call.result"] == "25"


def test_conversations_survive_a_restart(tmp_path: Path) -> None:
    inputs = []
    for _ in range(2):
        with ChatService(tmp_path) as service, httpx.Client(base_url=service.url, timeout=30) as http:
            inputs.append(send(http, "conv-restart", "do you remember?")["usage"]["input_tokens"])

    assert inputs[0] < inputs[1]
