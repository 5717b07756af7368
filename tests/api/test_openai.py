"""OpenAI's own client, pointed at this service: works as usual, and is measured to the token."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from chat_service import ChatService
from otlp_sink import SpanRecord

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("openai")) as running:
        yield running


@pytest.fixture
def client(service: ChatService) -> Iterator[openai.OpenAI]:
    service.flush().clear()
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none needed", max_retries=0) as made:
        yield made


def question(text: str) -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def the_call(service: ChatService) -> SpanRecord:
    (call,) = [s for s in service.flush().spans if s.attributes.get("gen_ai.operation.name") == "chat"]
    return call


def test_a_completion_is_measured_to_the_token(service: ChatService, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="offline/reasoner", messages=question("hello"))

    call = the_call(service)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "offline/reasoner"
    assert call.attributes["gen_ai.response.model"] == "reasoner"
    assert answer.id == call.attributes["gen_ai.response.id"]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == call.attributes["gen_ai.usage.input_tokens"] > 0
    assert answer.usage.completion_tokens == call.attributes["gen_ai.usage.output_tokens"] > 0
    details = answer.usage.completion_tokens_details
    assert details is not None
    assert details.reasoning_tokens == call.attributes["gen_ai.usage.reasoning.output_tokens"]


def test_a_stream_is_measured_to_the_token_and_says_so_when_asked(service: ChatService, client: openai.OpenAI) -> None:
    *chunks, last = client.chat.completions.create(
        model="offline/small",
        messages=question("tell me in 20 words"),
        stream=True,
        stream_options={"include_usage": True},
    )

    call = the_call(service)
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == call.attributes["gen_ai.usage.input_tokens"]
    assert last.usage.completion_tokens == call.attributes["gen_ai.usage.output_tokens"]
    assert {chunk.id for chunk in chunks} == {call.attributes["gen_ai.response.id"]}


def test_a_stream_without_asking_has_no_usage_chunk_and_is_measured_all_the_same(
    service: ChatService, client: openai.OpenAI
) -> None:
    asked = question("tell me in 20 words")
    chunks = list(client.chat.completions.create(model="offline/small", messages=asked, stream=True))
    whole = client.chat.completions.create(model="offline/small", messages=asked)

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    streamed, plain = (
        (s.attributes["gen_ai.usage.input_tokens"], s.attributes["gen_ai.usage.output_tokens"])
        for s in service.flush().named("chat small")
    )
    assert streamed == plain


def test_the_streaming_helper_works(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="offline/small", messages=question("in 8 words")) as stream:
        final = stream.get_final_completion()

    assert len((final.choices[0].message.content or "").split()) == 8


@pytest.mark.parametrize("stream", [False, True])
def test_the_callers_tools_go_to_the_model_and_its_calls_come_back(
    service: ChatService, client: openai.OpenAI, stream: bool
) -> None:
    asked = question("please get_weather for Berlin")
    if stream:
        with client.chat.completions.stream(model="offline/small", messages=asked, tools=[TOOL]) as events:
            message: Any = events.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="offline/small", messages=asked, tools=[TOOL]).choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments

    answer = client.chat.completions.create(
        model="offline/small",
        messages=[
            *asked,
            {"role": "assistant", "content": None, "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
            {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"},
        ],
        tools=[TOOL],
    )
    assert "sunny" in (answer.choices[0].message.content or "")
    reasons = [s.attributes["gen_ai.response.finish_reasons"] for s in service.flush().named("chat small")]
    assert reasons == [["tool_calls"], ["stop"]]
    assert service.sink.named("execute_tool get_weather") == []  # the caller runs it


def test_parameters_reach_the_model_and_the_span(service: ChatService, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="offline/small", messages=question("in 100 words"), max_tokens=7, temperature=0.5, seed=11, stop=["#"]
    )

    call = the_call(service)
    assert answer.choices[0].finish_reason == "length"
    assert call.attributes["gen_ai.response.finish_reasons"] == ["length"]
    assert call.attributes["gen_ai.usage.output_tokens"] <= 7
    assert call.attributes["gen_ai.request.max_tokens"] == 7
    assert call.attributes["gen_ai.request.temperature"] == 0.5
    assert call.attributes["gen_ai.request.seed"] == 11
    assert "gen_ai.request.stop_sequences" not in call.attributes  # text of the caller, and content capture is off


@pytest.mark.parametrize(
    "said",
    [
        {"extra_headers": {"X-Conversation-ID": "thread-7"}, "user": "ada"},
        {"metadata": {"conversation_id": "thread-7", "user_id": "ada"}},
        {"metadata": {"session_id": "thread-7"}, "safety_identifier": "ada"},
    ],
)
def test_conversation_and_user_are_taken_from_where_clients_put_them(
    service: ChatService, client: openai.OpenAI, said: dict[str, Any]
) -> None:
    client.chat.completions.create(model="offline/small", messages=question("hello"), **said)

    sink = service.flush()
    assert {s.attributes["gen_ai.conversation.id"] for s in sink.spans} == {"thread-7"}
    assert {s.attributes["user.id"] for s in sink.spans} == {"ada"}


def test_models_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert names[:3] == ["offline/small", "offline/large", "offline/reasoner"]


def test_errors_are_what_the_client_expects(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="offline/imaginary", messages=question("hello"))
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.UnprocessableEntityError, match="messages"):
        client.chat.completions.create(model="offline/small", messages=[])
    with pytest.raises(openai.BadRequestError, match="refused as requested"):
        client.chat.completions.create(model="offline/error-400", messages=question("hello"))
    with pytest.raises(openai.InternalServerError, match="failing as requested"):
        client.chat.completions.create(model="offline/error-500", messages=question("hello"), stream=True)


def test_an_error_in_the_middle_of_a_stream_reaches_the_client(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="offline/cut", messages=question("in 40 words"), stream=True)
    heard = []

    with pytest.raises(openai.APIError, match="cut off as requested"):
        heard.extend(chunk.choices[0].delta.content for chunk in stream)


def test_the_async_client_leaving_a_stream_ends_the_call(service: ChatService, client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="offline/slow", messages=question("in 4000 words"), stream=True
    ) as stream:
        next(iter(stream))

    call = the_call(service)
    assert call.attributes["error.type"] == "cancelled"
    assert call.attributes["spanledger.usage.estimated"] is True
    assert 0 < call.attributes["gen_ai.usage.output_tokens"] < 1000


def test_a_callers_api_base_is_refused(service: ChatService) -> None:
    body = {"model": "offline/small", "messages": question("hello"), "api_base": "http://169.254.169.254/"}
    response = httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=30)

    assert response.status_code == 422
    assert "api_base" in response.json()["error"]["message"]
