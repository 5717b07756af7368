"""The rest of OpenAI's API through OpenAI's own client: responses, legacy completions, one model, refusals."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from chat_service import ChatService
from otlp_sink import SpanRecord

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}

FUNCTION: Any = {"type": "function", "function": {"name": "f"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("openai-more")) as running:
        yield running


@pytest.fixture
def client(service: ChatService) -> Iterator[openai.OpenAI]:
    service.flush().clear()
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none needed", max_retries=0) as made:
        yield made


def calls(service: ChatService) -> list[SpanRecord]:
    return [s for s in service.flush().spans if s.attributes.get("gen_ai.operation.name") == "chat"]


def test_a_response_is_measured_to_the_token(service: ChatService, client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="offline/reasoner",
        instructions="Be brief.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
        metadata={"conversation_id": "resp-1"},
        user="ann",
    )

    (call,) = calls(service)
    assert answer.output_text
    assert answer.status == "completed"
    assert answer.model == "offline/reasoner"
    assert answer.id == call.attributes["gen_ai.response.id"]
    assert answer.usage is not None
    assert answer.usage.input_tokens == call.attributes["gen_ai.usage.input_tokens"] > 0
    assert answer.usage.output_tokens == call.attributes["gen_ai.usage.output_tokens"] > 0
    assert (
        answer.usage.output_tokens_details.reasoning_tokens == call.attributes["gen_ai.usage.reasoning.output_tokens"]
    )
    assert call.attributes["gen_ai.conversation.id"] == "resp-1"


def test_a_streamed_response_says_the_same_piece_by_piece(service: ChatService, client: openai.OpenAI) -> None:
    whole = client.responses.create(model="offline/small", input="tell me in 20 words")
    service.flush().clear()
    events = list(client.responses.create(model="offline/small", input="tell me in 20 words", stream=True))

    (call,) = calls(service)
    assert events[0].type == "response.created"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == call.attributes["gen_ai.usage.output_tokens"]


def test_a_response_calls_the_clients_tool_and_takes_its_result(service: ChatService, client: openai.OpenAI) -> None:
    question: Any = {"role": "user", "content": "What is the weather in Bern? Use get_weather."}
    first = client.responses.create(model="offline/small", input=[question], tools=[TOOL])
    (asked,) = [item for item in first.output if item.type == "function_call"]
    assert asked.name == "get_weather"
    result: Any = {"type": "function_call_output", "call_id": asked.call_id, "output": "sunny, 21 degrees"}
    again: Any = {"type": "function_call", "call_id": asked.call_id, "name": asked.name, "arguments": asked.arguments}
    second = client.responses.create(model="offline/small", input=[question, again, result], tools=[TOOL])
    assert second.output_text
    assert len(calls(service)) == 2


@pytest.mark.parametrize("more", [{"previous_response_id": "resp_1"}, {"background": True}, {"conversation": "c-1"}])
def test_a_response_that_needs_kept_answers_is_refused(client: openai.OpenAI, more: dict[str, Any]) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="send the whole input"):
        client.responses.create(model="offline/small", input="go on", **more)


def test_the_tier_that_a_response_is_asked_for_reaches_the_model(service: ChatService, client: openai.OpenAI) -> None:
    client.responses.create(model="offline/small", input="hello", service_tier="flex")
    (call,) = calls(service)
    assert call.attributes["openai.request.service_tier"] == "flex"


def test_errors_of_responses_have_openais_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="offline/nobody", input="hello")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.UnprocessableEntityError):
        client.responses.create(model="offline/small", input="hello", temperature=9)
    with pytest.raises(openai.NotFoundError) as nowhere:
        client.moderations.create(input="hello")
    assert nowhere.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"input": [{"role": "narrator", "content": "x"}]}, "role: Input should be"),
        ({"extra_body": {"colour": "blue"}}, "unknown parameter 'colour'"),
        ({"top_logprobs": 3}, "unknown parameter 'top_logprobs'"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "searches are not offered"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"text": {"verbosity": "low"}}, "verbosity"),
        ({"tool_choice": "required"}, "only with tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "nobody"}}, "none of the tools"),
        ({"tools": [TOOL], "tool_choice": "banana"}, "'banana' is neither none, auto or required"),
        ({"stream_options": {"include_obfuscation": False}}, "only with stream"),
    ],
)
def test_what_a_response_cannot_honour_is_refused(client: openai.OpenAI, more: dict[str, Any], says: str) -> None:
    given: Any = {"model": "offline/small", "input": "hello", **more}
    with pytest.raises(openai.APIStatusError, match=says) as refused:
        client.responses.create(**given)
    assert refused.value.status_code in (400, 422)


def test_legacy_completions_of_several_prompts_are_so_many_calls(service: ChatService, client: openai.OpenAI) -> None:
    answer = client.completions.create(model="offline/small", prompt=["hello", "in 9 words"], user="ben")
    found = calls(service)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.text for choice in answer.choices)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == sum(call.attributes["gen_ai.usage.output_tokens"] for call in found)
    assert len(found) == 2


def test_a_legacy_completion_streams(service: ChatService, client: openai.OpenAI) -> None:
    whole = client.completions.create(model="offline/small", prompt="in 12 words")
    *pieces, last = client.completions.create(
        model="offline/small", prompt="in 12 words", stream=True, stream_options={"include_usage": True}
    )
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    assert last.usage
    assert whole.usage
    assert last.usage.total_tokens == whole.usage.total_tokens


def test_a_model_of_the_list_can_be_looked_up(client: openai.OpenAI) -> None:
    for model in client.models.list():
        assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("offline/nobody")
    assert unknown.value.body == {
        "message": "there is no model 'offline/nobody'; GET /v1/models lists them",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_several_choices_and_stop_sequences_are_honoured(service: ChatService, client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "tell me in 20 words"}]
    whole = client.chat.completions.create(model="offline/small", messages=messages)
    text = whole.choices[0].message.content or ""
    service.flush().clear()
    two = client.chat.completions.create(model="offline/small", messages=messages, n=2, stop=text[30:40])
    (call,) = calls(service)
    assert [choice.message.content for choice in two.choices] == [text[:30], text[:30]]
    assert two.usage is not None
    assert two.usage.completion_tokens == call.attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"logprobs": True}, "not offered"),
        ({"extra_body": {"colour": "blue"}}, "unknown parameter 'colour'"),
        ({"temperature": 3}, "less than or equal to 2"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "at most 4"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "role"),
        ({"top_logprobs": 3}, "only with logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"extra_body": {"service_tier": "express"}}, "service_tier"),
        ({"modalities": ["audio"]}, "spoken answers are not offered"),
        ({"logit_bias": {"50256": -100}}, "not offered"),
        ({"functions": [{"name": "f", "parameters": {}}]}, "not offered"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "unknown kind of part 'hologram'"),
        ({"web_search_options": {}}, "searches are not offered"),
        ({"tools": [FUNCTION], "tool_choice": "banana"}, "'banana' is neither none, auto or required"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "banana"}}, "'banana' is neither none, auto or required"),
        ({"prediction": {"type": "banana"}}, "prediction"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools other than functions are not offered"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools other than functions are not offered"),
        ({"tool_choice": "required"}, "only with tools"),
        ({"stream_options": {"include_usage": True}}, "only with stream"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "function", "function": {"name": "g"}},
            },
            "'g' is none of the tools",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(client: openai.OpenAI, more: dict[str, Any], says: str) -> None:
    given: Any = {"model": "offline/small", "messages": [{"role": "user", "content": "hello"}], **more}
    with pytest.raises(openai.APIStatusError, match=says) as refused:
        client.chat.completions.create(**given)
    assert refused.value.status_code in (400, 422)


HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [*HELLO, {"role": "narrator", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]"),
        ({"stop": 5}, "stop"),
        ({"logit_bias": {"5": 101}}, "logit_bias[5]"),
        ({"colour": "blue"}, "colour"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"model": "offline/nobody"}, "model"),
        ({"model": "offline/error-400"}, None),
    ],
)
def test_an_error_names_the_parameter_as_openai_does(client: openai.OpenAI, more: Any, param: str | None) -> None:
    given = {"model": "offline/small", "messages": HELLO, **more}
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/chat/completions", body=given, cast_to=object)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": ', "JSON"),
        (b'{"seed": %s}' % (b"9" * 5000), "too many digits"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": %s}' % (b"[" * 5000 + b"]" * 5000), "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_says_why(service: ChatService, body: bytes, says: str) -> None:
    for path in ("/v1/chat/completions", "/v1/sql"):
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(f"{service.url}{path}", content=body, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["title"]) == (400, "Malformed JSON")
        assert says in answer.json()["detail"]


def test_parameters_that_are_null_are_not_given(client: openai.OpenAI) -> None:
    absent: dict[str, Any] = dict.fromkeys(("stream", "stream_options", "tools", "tool_choice", "colour", "fallbacks"))
    chat = client.chat.completions.create(model="offline/small", messages=HELLO, extra_body=absent)  # type: ignore[arg-type]
    response = client.responses.create(model="offline/small", input="hello", extra_body=absent)
    text = client.completions.create(
        model="offline/small", prompt="hello", extra_body={"logprobs": None, "suffix": None}
    )
    assert chat.choices[0].message.content
    assert response.output_text
    assert text.choices[0].text


def test_each_answer_and_error_has_the_request_id_that_clients_show(
    service: ChatService, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(model="offline/small", messages=HELLO)  # type: ignore[arg-type]
    assert answer._request_id
    (call,) = calls(service)
    assert answer._request_id == call.attributes["spanledger.correlation.id"]
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.responses.create(model="offline/small", input="hello", temperature=9)
    assert refused.value.request_id
