"""Calls that tools made are none of the calls and agents that asked for the tools; and what else is no telling."""

from typing import Any

import pytest
from test_ledger_books import books, llm, prices, span, sums

from spanledger.ledger.activations import LedgerPrices

__all__ = ["prices"]
Told = dict[str, Any]

AGENT = {"role": "agent", "provider": "openai", "request_model": "gpt-4o"}
EMBEDDING = {"role": "embedding", "request_model": "text-embedding-3-small", "output_tokens": None}


def agent(span_id: str, tokens: tuple[int, int], parent: str = "", **values: Any) -> Told:
    return llm(span_id, parent, tokens, ms=9000, **{**AGENT, **values})


def tool(span_id: str, parent: str, **values: Any) -> Told:
    return span(span_id, parent, at=10, ms=3000, role="tool", operation="execute_tool", tool="search", **values)


def embedding(span_id: str, parent: str, at: int = 20) -> Told:
    return llm(span_id, parent, (12, 0), at=at, ms=100, **EMBEDDING)


def figures(prices: LedgerPrices, *told: Told) -> tuple[int, int, int]:
    found = sums(books(prices, *told))
    return found["llm_calls"], found["input_tokens"], found["output_tokens"]


def test_an_agent_as_a_tool_of_a_call(prices: LedgerPrices) -> None:
    """Google ADK runs tools below the span of the call that asked for them."""
    told = [
        span("a", role="agent", ms=9000),
        llm("b", "a", (1000, 50), at=10, ms=4000),
        tool("c", "b"),
        span("d", "c", at=20, ms=2500, role="agent"),
        llm("e", "d", (300, 20), at=600, ms=800),
        llm("f", "a", (1200, 60), at=4100, ms=800),
    ]
    assert figures(prices, *told) == (3, 2500, 130)


@pytest.mark.parametrize("inner", [(50, 5), (5000, 700)], ids=["less", "more"])
@pytest.mark.parametrize("repeats", [False, True], ids=["call", "call that an agent repeats"])
def test_a_call_above_a_call_of_its_tool(prices: LedgerPrices, inner: tuple[int, int], repeats: bool) -> None:
    told = [llm("a", tokens=(1000, 200), ms=3000), tool("b", "a")]
    told += [agent("c", inner, "b"), llm("d", "c", inner, at=100)] if repeats else [llm("d", "b", inner, at=100)]
    assert figures(prices, *told) == (2, 1000 + inner[0], 200 + inner[1])


def test_a_call_above_a_tool_and_its_own_telling(prices: LedgerPrices) -> None:
    """The outer span gives its usage to the inner one that has none, and nothing of it to the call of the tool."""
    told = [llm("a", tokens=(1000, 50), scope="adk", ms=4000), llm("b", "a", None, scope="sdk", ms=300)]
    told += [tool("c", "a"), llm("d", "c", (300, 20), at=100)]
    assert figures(prices, *told) == (2, 1300, 70)


def test_a_call_that_a_tool_repeats_with_equal_counts_is_one(prices: LedgerPrices) -> None:
    """A step that its library calls a tool, between two tellings."""
    told = [llm("a", tokens=(100, 20), scope="framework", ms=3000), tool("b", "a"), llm("c", "b", (100, 20), at=100)]
    assert figures(prices, *told) == (1, 100, 20)


def test_a_silent_span_above_a_tool_is_another_call_if_it_has_an_answer(prices: LedgerPrices) -> None:
    inner = [tool("b", "a"), llm("c", "b", (100, 20), at=100, response_id="r1")]
    assert figures(prices, llm("a", tokens=None, ms=3000), *inner) == (1, 100, 20)
    assert figures(prices, llm("a", tokens=None, ms=3000, response_id="r2"), *inner) == (2, 100, 20)


IDS = ({"response_id": "chatcmpl-A1b2c3"}, {"response_id": "chatcmpl-D4e5f6"})


def test_two_ids_with_two_counts_are_two_calls(prices: LedgerPrices) -> None:
    outer = llm("a", tokens=(1000, 200), ms=3000, **IDS[0])
    assert figures(prices, outer, llm("b", "a", (50, 5), at=100, **IDS[1])) == (2, 1050, 205)


ONE_CALL: dict[str, tuple[Told, Told]] = {
    "a gateway's id and the provider's": (IDS[0] | {"input_tokens": 50}, IDS[1]),
    "the same id, part of the figures": (IDS[0] | {"input_tokens": 20}, IDS[0]),
    "the cache counted by one": (IDS[0] | {"input_tokens": 450, "cache_read_input_tokens": 400}, IDS[1]),
    "an id that only one knows": (IDS[0] | {"input_tokens": 40}, {}),
    "counted by the client": (IDS[0] | {"input_tokens": 47, "usage_estimated": 1}, IDS[1]),
    "without counts": (IDS[0] | {"input_tokens": None, "output_tokens": None, "request_model": "alias"}, IDS[1]),
}


@pytest.mark.parametrize("pair", ONE_CALL.values(), ids=list(ONE_CALL))
def test_a_wrapper_that_tells_the_same_call_is_none_of_its_own(prices: LedgerPrices, pair: tuple[Told, Told]) -> None:
    outer = llm("a", tokens=(50, 5), ms=3000, scope="wrapper") | pair[0]
    calls, _, output = figures(prices, outer, llm("b", "a", (50, 5), at=100, scope="sdk", **pair[1]))
    assert (calls, output) == (1, 5)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("between", ["tool", "retrieval"])
def test_an_agent_above_embeddings_has_usage_of_its_own(prices: LedgerPrices, number: int, between: str) -> None:
    """Its calls are not traced: they run elsewhere, or in another process."""
    told = [agent("a", (3000, 200))]
    for n in range(number):
        told += [tool(f"b{n}", "a") | {"role": between}, embedding(f"c{n}", f"b{n}", at=20 + n)]
    assert figures(prices, *told) == (1 + number, 3000 + 12 * number, 200)


@pytest.mark.parametrize("inner", [(70, 7), (7000, 700)], ids=["less", "more"])
def test_an_agent_above_a_call_of_its_tool_has_usage_of_its_own(prices: LedgerPrices, inner: tuple[int, int]) -> None:
    told = [agent("a", (5000, 300)), tool("b", "a"), llm("c", "b", inner, at=20)]
    assert figures(prices, *told) == (2, 5000 + inner[0], 300 + inner[1])


def test_an_agent_above_agents_of_its_tools(prices: LedgerPrices) -> None:
    told = [agent("a", (300, 60)), tool("b", "a"), agent("c", (50, 6), "b")]
    assert figures(prices, *told) == (2, 350, 66)


def test_an_agent_that_adds_up_the_calls_of_its_tools_is_none(prices: LedgerPrices) -> None:
    told = [agent("a", (120, 50)), tool("b", "a"), tool("c", "a")]
    told += [llm("d", "b", (50, 20), at=20), llm("e", "c", (70, 30), at=40)]
    assert figures(prices, *told) == (2, 120, 50)
    assert figures(prices, agent("a", (50, 20)), *told[1:]) == (2, 120, 50)  # some agents report their last call
    silent = llm("e", "c", None, at=40)
    assert figures(prices, agent("a", (120, 50)), *told[1:4], silent) == (2, 120, 50)


def test_an_agent_that_adds_up_a_call_and_an_embedding_is_none(prices: LedgerPrices) -> None:
    told = [agent("a", (112, 20)), tool("b", "a"), embedding("c", "b"), llm("d", "a", (100, 20), at=200)]
    assert figures(prices, *told) == (2, 112, 20)


def test_an_agent_that_adds_up_calls_which_two_instrumentations_tell_side_by_side_is_none(prices: LedgerPrices) -> None:
    told = [agent("a", (320, 25)), tool("b", "a")]
    told += [llm("c", "b", (300, 20), at=100, ms=90, scope="outer", response_id="r1")]
    told += [llm("d", "b", (300, 20), at=105, ms=80, scope="inner")]
    told += [llm("e", "b", (20, 5), at=300, ms=90, scope="outer"), llm("f", "b", (20, 5), at=305, ms=80, scope="inner")]
    assert figures(prices, *told) == (2, 320, 25)
