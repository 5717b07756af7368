"""The offline provider through LiteLLM's own functions: deterministic, billed by a real tokenizer, no network."""

import asyncio
import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from spanledger.pricing import load_book
from spanledger.workflows import tokens
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.model import ModelError, ModelReply, ModelRequest, UnknownModel
from spanledger.workflows.tools import BUILTIN

HELLO = [{"role": "user", "content": "hello"}]


class Loop:
    """An event loop with a loaded model on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.model = LiteLLM(load_book())
        self.run(self.model.ready())

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def complete(self, model: str, messages: Any, **parameters: Any) -> ModelReply:
        reply: ModelReply = self.run(self.model.complete(ModelRequest(model, messages, parameters)))
        return reply

    def stream(self, model: str, messages: Any, **parameters: Any) -> ModelReply:
        async def listen() -> ModelReply:
            stream = await self.model.stream(ModelRequest(model, messages, parameters))
            try:
                async for _ in stream:
                    pass
            finally:
                await stream.close()
            return stream.reply()

        reply: ModelReply = self.run(listen())
        return reply

    def close(self) -> None:
        self.run(self.model.close())
        self._loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_network(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the offline provider went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("model", ["offline/small", "offline/large", "offline/reasoner"])
def test_the_same_question_gets_the_same_answer_plain_and_streamed(loop: Loop, model: str) -> None:
    plain, again, streamed = loop.complete(model, HELLO), loop.complete(model, HELLO), loop.stream(model, HELLO)

    assert plain.message["content"] == again.message["content"] == streamed.message["content"]
    assert plain.usage == again.usage == streamed.usage
    assert plain.response["model"] == streamed.response["model"] == model
    ids = {reply.response["id"] for reply in (plain, again, streamed)}
    assert len(ids) == 3  # every call is a call of its own


def test_usage_is_counted_by_the_tokenizer(loop: Loop) -> None:
    reply = loop.complete("offline/small", HELLO)

    assert reply.usage is not None
    assert reply.usage.input_tokens == tokens.count_prompt(HELLO) == 8
    assert reply.usage.output_tokens == tokens.count(reply.message["content"])


def test_reasoning_and_cache_are_parts_of_the_totals(loop: Loop) -> None:
    history = [{"role": "user", "content": "tell me " * 200}, {"role": "assistant", "content": "ok"}, *HELLO]
    reasoner, large = loop.complete("offline/reasoner", HELLO).usage, loop.complete("offline/large", history).usage

    assert reasoner is not None
    assert 0 < (reasoner.reasoning_output_tokens or 0) < (reasoner.output_tokens or 0)
    assert large is not None
    assert large.cache_read_input_tokens == 384
    assert large.cache_read_input_tokens + (large.cache_write_input_tokens or 0) <= (large.input_tokens or 0)


def test_prices_are_known_to_litellm_and_agree_with_the_price_book(loop: Loop) -> None:
    reply = loop.complete("offline/large", HELLO)

    assert reply.usage is not None
    expected = Decimal(3) * (reply.usage.input_tokens or 0) + Decimal(15) * (reply.usage.output_tokens or 0)
    assert reply.claimed_usd == expected / 1_000_000


def test_tools_are_called_and_their_results_used(loop: Loop) -> None:
    question = [{"role": "user", "content": "what is 12*7 and how many miles are 10 km to miles?"}]
    offered = [tool.schema for tool in BUILTIN]
    plain = loop.complete("offline/small", question, tools=offered)
    streamed = loop.stream("offline/small", question, tools=offered)

    asked = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in plain.message["tool_calls"]]
    assert asked == [
        ("calculator", {"expression": "12*7"}),
        ("convert_units", {"value": 10, "from_unit": "km", "to_unit": "miles"}),
    ]
    assert [c["function"] for c in streamed.message["tool_calls"]] == [
        c["function"] for c in plain.message["tool_calls"]
    ]
    assert plain.finish_reasons == streamed.finish_reasons == ["tool_calls"]


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema(loop: Loop) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "s": {"type": "string", "enum": ["a", "b"]}},
        "required": ["n", "s"],
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    reply = loop.complete("offline/small", HELLO, tools=[tool], tool_choice="required")

    assert json.loads(reply.message["tool_calls"][0]["function"]["arguments"]) == {"n": 1, "s": "a"}


def test_max_tokens_cuts_the_answer(loop: Loop) -> None:
    reply = loop.complete("offline/small", [{"role": "user", "content": "in 500 words"}], max_tokens=20)

    assert reply.finish_reasons == ["length"]
    assert reply.usage is not None
    assert 0 < (reply.usage.output_tokens or 0) <= 20


def test_embeddings(loop: Loop) -> None:
    import litellm

    response = litellm.embedding(model="offline/embed", input=["one", "two words"])

    assert [len(item["embedding"]) for item in response.data] == [256, 256]
    assert response.usage.prompt_tokens == tokens.count("one") + tokens.count("two words")
    assert litellm.completion_cost(completion_response=response, model="offline/embed") > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "error_type"), [("offline/error-500", "500"), ("offline/error-400", "400")])
def test_fault_models_fail_as_asked(loop: Loop, model: str, error_type: str, stream: bool) -> None:
    with pytest.raises(ModelError) as failed:
        (loop.stream if stream else loop.complete)(model, HELLO)

    assert failed.value.error_type == error_type


def test_flaky_refuses_each_question_once(loop: Loop) -> None:
    question = [{"role": "user", "content": "are you flaky?"}]
    with pytest.raises(ModelError, match="refused"):
        loop.complete("offline/flaky-429", question)

    assert loop.complete("offline/flaky-429", question).response["model"] == "offline/small"


def test_a_stream_without_usage_says_none(loop: Loop) -> None:
    assert loop.stream("offline/no-usage", HELLO).usage is None


@pytest.mark.parametrize("model", ["offline/none", "offline/", "nobody/knows", ""])
def test_unknown_models(loop: Loop, model: str) -> None:
    with pytest.raises(UnknownModel):
        loop.complete(model, HELLO)


def test_hostile_texts_are_counted_quickly() -> None:
    assert tokens.count("a" * 500_000) == 62_500
    assert tokens.count("<|endoftext|>") > 1  # text, not the special token
    assert tokens.count("") == 0
