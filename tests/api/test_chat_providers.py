"""What providers do over the wire: usage or none, retries, fallbacks, failures, streams that break or are left."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chat_service import ChatService
from otlp_sink import Sink, SpanRecord
from provider_emulator import COST, WORDS, Emulator

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", running.base_url)
        patch.setenv("OPENAI_API_KEY", "sk-test")
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[ChatService]:
    with ChatService(tmp_path_factory.mktemp("providers")) as running:
        yield running


@pytest.fixture
def client(service: ChatService, emulator: Emulator) -> Iterator[httpx.Client]:
    service.flush().clear()
    emulator.seen.clear()
    emulator.left.clear()
    with httpx.Client(base_url=service.url, timeout=30) as http:
        yield http


def ask(client: httpx.Client, model: str, **more: Any) -> httpx.Response:
    body = {"content": "count to five", "model": f"openai/{model}", **more}
    return client.post(f"/v1/conversations/conv-{model}-{next(_numbers)}/messages", json=body)


def last_event(response: httpx.Response) -> tuple[str, Any]:
    name, data = response.text.strip().split("\n\n")[-1].splitlines()
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def attempts(sink: Sink) -> list[SpanRecord]:
    """The calls of models in the order in which they ended."""
    return [span for span in sink.spans if span.attributes.get("gen_ai.operation.name") == "chat"]


def tokens(span: SpanRecord) -> tuple[Any, Any, bool]:
    """Input, output, estimated."""
    said = span.attributes
    return (
        said.get("gen_ai.usage.input_tokens"),
        said.get("gen_ai.usage.output_tokens"),
        said.get("spanledger.usage.estimated", False),
    )


@pytest.mark.parametrize("stream", [False, True])
def test_reported_usage_is_taken_as_it_is(service: ChatService, client: httpx.Client, stream: bool) -> None:
    ask(client, "plain", stream=stream)
    (call,) = attempts(service.flush())

    assert tokens(call) == (21, 5, False)
    assert call.name == "chat plain"
    assert call.attributes["gen_ai.provider.name"] == "openai"
    assert call.attributes["gen_ai.response.model"] == "plain-2026-01-01"
    assert call.attributes["gen_ai.response.id"].startswith("chatcmpl-")
    assert call.attributes["gen_ai.response.finish_reasons"] == ["stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_never_comes_is_counted_and_marked(service: ChatService, client: httpx.Client, stream: bool) -> None:
    ask(client, "no-usage", stream=stream)
    (call,) = attempts(service.flush())

    # "count to five" is 3 tokens in 7 of framing; the answer is 6
    assert tokens(call) == (10, 6, True)


@pytest.mark.parametrize("stream", [False, True])
def test_details_arrive_whole(service: ChatService, client: httpx.Client, stream: bool) -> None:
    ask(client, "details", stream=stream)
    (call,) = attempts(service.flush())

    assert tokens(call) == (2048, 300, False)
    assert call.attributes["gen_ai.usage.cache_read.input_tokens"] == 1024
    assert call.attributes["gen_ai.usage.reasoning.output_tokens"] == 128
    assert call.attributes["gen_ai.usage.audio.input_tokens"] == 16
    assert call.attributes["gen_ai.usage.audio.output_tokens"] == 8
    assert call.attributes["gen_ai.usage.cache_write.input_tokens"] == 512
    assert call.attributes["gen_ai.usage.cache_write_1h.input_tokens"] == 300
    assert call.attributes["gen_ai.usage.image.input_tokens"] == 32
    assert call.attributes["gen_ai.usage.image.output_tokens"] == 4


def test_openais_clients_see_the_details_too(client: httpx.Client) -> None:
    body = {"model": "openai/details", "messages": [{"role": "user", "content": "count to five"}]}
    usage = client.post("/v1/chat/completions", json=body).json()["usage"]
    assert usage["prompt_tokens_details"] == {
        "cached_tokens": 1024,
        "cache_write_tokens": 512,
        "audio_tokens": 16,
        "image_tokens": 32,
    }
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 128, "audio_tokens": 8, "image_tokens": 4}


@pytest.mark.parametrize("stream", [False, True])
def test_a_cost_that_the_provider_states_is_billed(service: ChatService, client: httpx.Client, stream: bool) -> None:
    response = ask(client, "dear", stream=stream)
    (call,) = attempts(service.flush())

    usage = (last_event(response)[1] if stream else response.json())["usage"]
    assert (usage["cost_usd"], usage["cost_state"]) == (str(COST), "billed")
    assert call.attributes["gen_ai.usage.cost.amount"] == COST
    assert call.attributes["gen_ai.usage.cost.source"] == "provider"


def test_a_model_without_a_price_is_unpriced_not_free(client: httpx.Client) -> None:
    usage = ask(client, "plain").json()["usage"]

    assert usage["cost_state"] == "unpriced"
    assert usage["priced_share"] == 0.0
    assert usage["total_tokens"] == 26


def test_usage_is_asked_for_and_ids_stay_at_home(
    service: ChatService, client: httpx.Client, emulator: Emulator
) -> None:
    ask(client, "plain", stream=True, user_id="somebody-private")

    (seen,) = emulator.seen
    assert seen.body["stream_options"] == {"include_usage": True}
    told = json.dumps(seen.body) + json.dumps(seen.headers)
    assert "somebody-private" not in told
    assert "conv-" not in told
    assert not {"baggage", "traceparent", "x-correlation-id"} & seen.headers.keys()


@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_is_a_span_of_its_own(
    service: ChatService, client: httpx.Client, emulator: Emulator, stream: bool
) -> None:
    response = ask(client, "flaky", stream=stream)
    first, second = attempts(service.flush())

    usage = (last_event(response)[1] if stream else response.json())["usage"]
    assert (usage["llm_calls"], usage["failed_calls"], usage["total_tokens"]) == (1, 1, 26)
    assert (first.status, first.attributes["error.type"], tokens(first)) == (2, "429", (None, None, False))
    assert (second.status, tokens(second)) == (0, (21, 5, False))
    assert [first.attributes["spanledger.attempt"], second.attributes["spanledger.attempt"]] == [1, 2]
    assert len(emulator.seen) == 2  # no retries hidden inside the client


def test_a_fallback_answers_when_the_first_model_does_not(
    service: ChatService, client: httpx.Client, emulator: Emulator
) -> None:
    response = ask(client, "broken", fallbacks=["openai/plain"])
    calls = attempts(service.flush())

    assert response.json()["model"] == "plain-2026-01-01"
    assert response.json()["usage"]["failed_calls"] == 3
    assert [(call.name, call.status) for call in calls] == [("chat broken", 2)] * 3 + [("chat plain", 0)]


@pytest.mark.parametrize(
    ("model", "status", "error_type", "tries"),
    [("broken", 502, "500", 3), ("refusing", 502, "401", 1), ("strict", 400, "400", 1)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_fails_is_a_problem_with_every_attempt_on_record(
    service: ChatService, client: httpx.Client, model: str, status: int, error_type: str, tries: int, stream: bool
) -> None:
    response = ask(client, model, stream=stream)
    sink = service.flush()

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert [call.attributes["error.type"] for call in attempts(sink)] == [error_type] * tries
    assert sink.one("invoke_workflow chat").status == 2
    assert sink.one("POST /v1/conversations/{conversation_id}/messages").status == 2
    if model == "refusing":
        assert "sk-1234" not in response.text


def test_a_provider_that_asks_for_a_long_pause_is_passed_on_with_it(client: httpx.Client, emulator: Emulator) -> None:
    response = ask(client, "limited")

    assert response.status_code == 429
    assert response.headers["retry-after"] == "30"
    assert len(emulator.seen) == 1


def test_a_failed_question_stays_out_of_the_next_prompts(client: httpx.Client, emulator: Emulator) -> None:
    url = "/v1/conversations/conv-poison/messages"
    client.post(url, json={"content": "first", "model": "openai/plain"})
    client.post(url, json={"content": "poison", "model": "openai/strict"})
    client.post(url, json={"content": "third", "model": "openai/plain"})

    said = [(message["role"], message["content"]) for message in emulator.seen[-1].body["messages"]]
    assert said == [("user", "first"), ("assistant", "".join(WORDS)), ("user", "third")]


@pytest.mark.parametrize("model", ["cut", "late-error"])
def test_a_stream_that_breaks_off_keeps_what_had_arrived(
    service: ChatService, client: httpx.Client, emulator: Emulator, model: str
) -> None:
    response = ask(client, model, stream=True)
    sink = service.flush()

    assert response.status_code == 200
    name, problem = last_event(response)
    assert name == "error"
    assert problem["correlation_id"] == response.headers["x-correlation-id"]
    (call,) = attempts(sink)
    assert call.status == 2
    assert tokens(call) == (10, 4, True)  # what was heard of the answer is 4 tokens
    assert len(emulator.seen) == 1  # what was said cannot be unsaid: no retry
    assert sink.one("invoke_workflow chat").status == 2


@pytest.mark.parametrize(("model", "output"), [("hangs", 4), ("silent", 0)])
def test_a_client_that_goes_away_ends_the_call_and_leaves_no_span_open(
    service: ChatService, client: httpx.Client, emulator: Emulator, model: str, output: int
) -> None:
    body = {"content": "count to five", "model": f"openai/{model}", "stream": True}
    url = f"/v1/conversations/conv-{model}/messages"
    if model == "hangs":
        with client.stream("POST", url, json=body) as response:
            chunks = response.iter_text()
            while "three" not in next(chunks):
                pass
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post(url, json=body, timeout=0.3)

    assert emulator.left.wait(10)  # the provider's connection was given up too
    sink = service.flush()
    (call,) = attempts(sink)
    assert (call.status, call.attributes["error.type"]) == (2, "cancelled")
    assert tokens(call) == (10, output, True)
    for name in ("model", "chat", "invoke_workflow chat", "POST /v1/conversations/{conversation_id}/messages"):
        assert sink.one(name).status == 2
    assert service.runner.in_flight == 0
