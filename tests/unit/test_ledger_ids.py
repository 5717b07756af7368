"""What a response id says about two tellings, and what makes them one call without one."""

from typing import Any

import pytest
from test_ledger_books import books, lines, llm, prices, span, sums

from spanledger.ledger.activations import LedgerPrices

__all__ = ["prices"]
Told = dict[str, Any]


def calls(prices: LedgerPrices, *told: Told) -> tuple[int, int]:
    found = sums(books(prices, *told))
    return found["llm_calls"], found["input_tokens"]


def ollama(name: str, **values: Any) -> Told:
    said = {"scope": name, "service": name, "request_model": "llama3.2", "response_id": "chatcmpl-417", "ms": 500}
    return llm(name, **{"trace_id": name, **said, **values})


def test_ids_that_a_server_draws_from_few_are_no_identity(prices: LedgerPrices) -> None:
    assert calls(prices, ollama("a"), ollama("b", at=400_000, tokens=(333, 44), request_model="qwen2.5")) == (2, 433)
    assert calls(prices, ollama("a"), ollama("b", at=100, tokens=(333, 44))) == (2, 433)
    assert calls(prices, ollama("a"), ollama("b", at=400_000, tokens=None)) == (2, 100)


def test_ids_that_a_server_draws_from_few_join_what_agrees(prices: LedgerPrices) -> None:
    assert calls(prices, ollama("a"), ollama("b", at=5, ms=400, request_model="local")) == (1, 100)
    assert calls(prices, ollama("a"), ollama("b", at=5, ms=400, tokens=None)) == (1, 100)


def test_ids_that_a_server_draws_from_few_beside_each_other(prices: LedgerPrices) -> None:
    outer = span("o", role="agent", ms=9000, input_tokens=433, output_tokens=54)
    said = {"trace_id": "t1", "parent": "o"}
    assert calls(prices, outer, ollama("a", **said), ollama("b", at=900, tokens=(333, 44), **said)) == (2, 433)


ANSWER = "resp_" + "0123456789abcdef" * 3


def fetched(name: str, at: int, **values: Any) -> Told:
    said = {"request_model": "gpt-5", "response_id": ANSWER, "scope": "openinference.instrumentation.openai", "ms": 80}
    return llm(name, **{"at": at, **said, **values})


@pytest.mark.parametrize("trace", ["t1", "t2"])
@pytest.mark.parametrize("model", ["gpt-5", ""])
def test_an_answer_that_is_retrieved_is_one_call(prices: LedgerPrices, trace: str, model: str) -> None:
    told = [fetched("a", 0, ms=3000), fetched("b", 50_000, request_model=model, trace_id=trace)]
    assert calls(prices, *told) == (1, 100)
    (line,) = lines(books(prices, *told))
    assert (line["span_id"], line["duration_ns"]) == ("a", 3_000_000_000)


def test_an_answer_in_the_background_that_is_polled_is_one_call(prices: LedgerPrices) -> None:
    polls = [fetched(name, 2_000 * n, tokens=None) for n, name in enumerate("abcd")]
    assert calls(prices, *polls, fetched("e", 8_000), fetched("f", 3_600_000, trace_id="t2")) == (1, 100)
    assert calls(prices, *polls) == (1, 0)


def test_an_answer_that_is_polled_below_a_sum_is_one_call(prices: LedgerPrices) -> None:
    outer = span("o", role="agent", ms=9000, input_tokens=100, output_tokens=10)
    told = [fetched("a", 10, tokens=None, parent="o"), fetched("b", 2_000, parent="o"), fetched("c", 4_000, parent="o")]
    assert calls(prices, outer, *told) == (1, 100)


def test_two_counts_under_the_id_of_an_answer(prices: LedgerPrices) -> None:
    """Of one instrumentation two calls; of two at one time one call, of which each counts something else."""
    assert calls(prices, fetched("a", 0), fetched("b", 5_000, tokens=(7, 7)))[0] == 2
    other = fetched("b", 5, tokens=(100, 90), reasoning_output_tokens=80, scope="sdk", ms=60)
    assert calls(prices, fetched("a", 0), other)[0] == 1


def test_short_ids_of_answers_are_those_of_emulators(prices: LedgerPrices) -> None:
    assert calls(prices, *(fetched(f"a{n}", n * 1_000, response_id="resp_123") for n in range(3))) == (3, 300)


def test_a_span_without_a_model_and_a_log_record_are_one_call(prices: LedgerPrices) -> None:
    """Codex: the record has no span context, its span no model; both stand in one conversation."""
    said: Told = {"provider": "openai", "conversation_id": "c1", "service": "codex"}
    told = llm("a", at=10, ms=1100, scope="codex_core", request_model="", **said)
    record = llm("b", trace_id="t2", at=1100, ms=0, scope="codex.events", **said)
    assert calls(prices, told, record) == (1, 100)
    (line,) = lines(books(prices, told, record))
    assert (line["model"], line["cost_state"]) == ("gpt-4o-mini", "computed")
    for other in ({"conversation_id": "c2"}, {"input_tokens": 99}, {"service": "x"}, {"started_at_ns": 0}):
        assert calls(prices, told, record | other)[0] == 2, other
    assert calls(prices, told, record | {"request_model": ""})[0] == 2


RELAYED = "chatcmpl-614b344d-3927-44d0-b925-81780edf4920"  # as LiteLLM's proxy gives to whatever asks it


def through_proxy(name: str, at: int = 0, **values: Any) -> Told:
    said: Told = {
        "provider": "anthropic",
        "request_model": "claude-sonnet-4-5",
        "response_id": RELAYED,
        "scope": "litellm",
    }
    return llm(name, **{"trace_id": name, "service": "proxy", "at": at, "ms": 100, **said, **values})


def asking(name: str, **values: Any) -> Told:
    said: Told = {
        "provider": "litellm.internal",
        "request_model": "my-alias",
        "scope": "sdk",
        "service": "shop",
        "ms": 200,
    }
    return through_proxy(name, **{**said, **values})


@pytest.mark.parametrize("provider", ["anthropic", "aws.bedrock", "gcp.vertex_ai", "openai"])
def test_a_client_and_a_proxy_with_one_id_in_two_traces_are_one_call(prices: LedgerPrices, provider: str) -> None:
    assert calls(prices, asking("a"), through_proxy("b", at=15, provider=provider)) == (1, 100)


@pytest.mark.parametrize("trace", ["b", "c"])
@pytest.mark.parametrize("client", [False, True])
def test_a_proxy_id_and_the_providers_own_are_one_call(prices: LedgerPrices, trace: str, client: bool) -> None:
    inner = through_proxy("c", at=20, ms=80, response_id="msg_01", scope="anthropic.sdk", trace_id=trace)
    told = [through_proxy("b", at=15), inner] + ([asking("a")] if client else [])
    assert calls(prices, *told) == (1, 100)


def test_two_ids_of_a_provider_are_two_calls(prices: LedgerPrices) -> None:
    one = through_proxy("b", response_id="msg_01")
    assert calls(prices, one, through_proxy("c", at=5, ms=80, response_id="msg_02", scope="sdk")) == (2, 200)
