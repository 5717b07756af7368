"""What the model said is no statement about its call: answers in JSON, and texts that quote a usage object."""

import json
from typing import Any

import pytest
from test_interpret import read, said

_CAR = {"make": "Toyota", "model": "Corolla", "year": 2020}
_QUOTED = 'The API returns {"usage": {"prompt_tokens": 999, "completion_tokens": 888, "total_tokens": 1887}} for this.'
_OPENINFERENCE = {
    "@scope": "openinference.instrumentation.litellm",
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-5",
    "llm.provider": "openai",
}
_LANGFUSE = {
    "@scope": "langfuse-sdk",
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-5",
}
_CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}
_PLACES = {
    "OpenInference": (_OPENINFERENCE, "output.value"),
    "Langfuse": (_LANGFUSE, "langfuse.observation.output"),
    "gen_ai.completion": (_CALL, "gen_ai.completion"),
}


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize(
    "answer",
    [
        _CAR,
        {"model": "gpt-4.1-nano", "reason": "cheap enough"},
        {"service_tier": "flex", "plan": "basic"},
        {"id": "gen-123", "title": "ticket"},
        {"object": "car", "id": "chatcmpl-1", "type": "sedan", "model": "Corolla"},
    ],
    ids=str,
)
def test_an_answer_in_json_says_nothing_about_the_call(place: str, answer: dict[str, Any]) -> None:
    attributes, key = _PLACES[place]
    plain = read({**attributes, key: "Paris"})
    wanted = ("provider", "request_model", "response_model", "response_id", "service_tier", "role", "input_tokens")
    assert said(read({**attributes, key: json.dumps(answer)}), *wanted) == said(plain, *wanted)


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ("OpenInference", _QUOTED),
        ("Langfuse", _QUOTED),
        ("gen_ai.completion", json.dumps([{"role": "assistant", "content": _QUOTED}])),
        ("OpenInference", json.dumps({"choices": [{"message": {"role": "assistant", "content": _QUOTED}}]})),
    ],
)
def test_a_usage_object_that_an_answer_quotes_is_no_usage(place: str, answer: str) -> None:
    attributes, key = _PLACES[place]
    assert said(read({**attributes, key: answer}), "input_tokens", "output_tokens") == {
        "input_tokens": None,
        "output_tokens": None,
    }


@pytest.mark.parametrize(
    "response",
    [
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5-2025-08-07", "choices": []},
        {"id": "resp_1", "model": "gpt-5-2025-08-07", "output": [], "usage": {"input_tokens": 3, "output_tokens": 4}},
        {"id": "msg_01", "type": "message", "model": "gpt-5-2025-08-07", "content": [], "stop_reason": "end_turn"},
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5-2025-08-07"},
        {"model": "gpt-5-2025-08-07", "text": "Paris", "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ],
    ids=str,
)
def test_a_response_names_the_model_that_answered(response: dict[str, Any]) -> None:
    assert read({**_OPENINFERENCE, "output.value": json.dumps(response)})["response_model"] == "gpt-5-2025-08-07"


@pytest.mark.parametrize("name", ["chat tokenizer-expert", "llm: token-counter agent", "detokenize-and-answer"])
def test_a_call_with_output_tokens_is_no_request_that_counts_tokens(name: str) -> None:
    counts = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20}
    assert said(read({**_CALL, **counts, "@name": name}), "role", "output_tokens") == {
        "role": "inference",
        "output_tokens": 20,
    }
