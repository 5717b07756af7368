"""Answers in the formats of Anthropic and Gemini that say nothing, or not all, of what they used."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chat_service import ChatService
from mixed_provider import WORDS, Providers


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with Providers() as providers, pytest.MonkeyPatch.context() as patch:
        for name, value in providers.environ.items():
            patch.setenv(name, value)
        with ChatService(tmp_path_factory.mktemp("formats")) as running:
            yield running


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gemini/no-usage-1", "anthropic/claude-no-usage-2", "openai/no-usage-3"])
def test_an_answer_without_usage_is_given_and_counted_here(service: ChatService, model: str, stream: bool) -> None:
    content, usage = ask(service, model, stream)

    assert content == "".join(WORDS)
    # "count to five" is 3 tokens in 7 of framing; the answer is 6
    assert (usage["input_tokens"], usage["output_tokens"], usage["llm_calls"]) == (10, 6, 1)
    (call,) = [s for s in service.flush().spans if s.attributes.get("gen_ai.operation.name") == "chat"]
    assert call.attributes["spanledger.usage.estimated"] is True
    assert "error.type" not in call.attributes


def test_an_answer_that_gemini_withholds_is_given_too(service: ChatService) -> None:
    """It has no candidates, and LiteLLM reads its usage elsewhere."""
    content, usage = ask(service, "gemini/withheld-4", stream=False)

    assert not content
    assert usage["llm_calls"] == 1


def test_a_stream_broken_off_keeps_what_was_said_and_counts_what_came(service: ChatService) -> None:
    """Anthropic says the input at the start, beside an output of 0."""
    service.flush().clear()
    body = {"model": "anthropic/claude-cut-9", "stream": True, "content": "count to five"}
    with httpx.stream("POST", f"{service.url}/v1/conversations/cut/messages", json=body, timeout=30) as response:
        said = response.read().decode()

    assert "one " in said
    assert "event: error" in said
    (call,) = [s for s in service.flush().spans if s.attributes.get("gen_ai.operation.name") == "chat"]
    counts = [call.attributes[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
    assert counts == [20 + 9, 4]  # "one two three " is 4 tokens
    assert call.attributes["spanledger.usage.estimated"] is True


def ask(service: ChatService, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    """What was answered, and the message's usage."""
    service.flush().clear()
    body = {"model": model, "stream": stream, "content": "count to five"}
    conversation = f"{model.replace('/', '-')}-{stream}"
    response = httpx.post(f"{service.url}/v1/conversations/{conversation}/messages", json=body, timeout=30)
    assert response.status_code == 200, response.text
    answer = json.loads(response.text.rpartition("data: ")[2])
    return answer["content"], answer["usage"]
