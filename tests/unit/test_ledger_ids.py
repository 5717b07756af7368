"""What a response id says about two tellings, and what makes them one call without one."""

from typing import Any

from test_ledger_books import books, llm, prices, span, sums

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
