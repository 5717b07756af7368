"""What the books should say about given spans: inheritance, counting once, tools, messages."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from spanledger.books.compute import Books, compute
from spanledger.books.entries import DIMS, MEASURES, difference, total
from spanledger.ledger.activations import Activation, LedgerPrices
from spanledger.ledger.rollups import EARLIEST, LATEST
from spanledger.pricing import load_book

MS = 1_000_000
START = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()) * 10**9
TEXTS = (
    "tenant trace_id span_id parent_span_id service scope role operation provider request_model response_model "
    "response_id service_tier finish_reason status error_type conversation_id message_id user_id correlation_id "
    "dialect server_address workflow agent tool prompt prompt_version variant cost_claim_source response_cache"
).split()
COUNTS = (
    "input_tokens cache_read_input_tokens cache_write_input_tokens cache_write_1h_input_tokens output_tokens "
    "reasoning_output_tokens audio_input_tokens audio_output_tokens image_input_tokens image_output_tokens told_calls"
).split()


@pytest.fixture(scope="module")
def prices() -> LedgerPrices:
    book = load_book()
    return LedgerPrices([Activation("first", book.version, EARLIEST, LATEST)], {book.version: book})


def span(span_id: str, parent: str = "", at: int = 0, ms: int = 10, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(TEXTS, "")
    row |= dict.fromkeys(COUNTS)
    row |= {"tenant": "default", "trace_id": "t1", "service": "shop", "scope": "app", "status": "ok"}
    row |= {"span_id": span_id, "parent_span_id": parent}
    row |= {"started_at_ns": START + at * MS, "duration_ns": ms * MS, "usage_estimated": 0, "cost_claim_usd": None}
    row |= {"received_at_ms": 0}
    return row | values


def llm(span_id: str, parent: str = "", tokens: tuple[int, int] | None = (100, 10), **values: Any) -> dict[str, Any]:
    said = {"input_tokens": tokens[0], "output_tokens": tokens[1]} if tokens else {}
    model = {"role": "inference", "provider": "openai", "request_model": "gpt-4o-mini"}
    return span(span_id, parent, **{**model, **said, **values})


def books(prices: LedgerPrices, *spans: dict[str, Any]) -> Books:
    schema = pa.schema(
        [(t, pa.string()) for t in TEXTS]
        + [(c, pa.int64()) for c in (*COUNTS, "started_at_ns", "duration_ns", "usage_estimated", "received_at_ms")]
        + [("cost_claim_usd", pa.decimal128(38, 15))]
    )
    ordered = sorted(spans, key=lambda s: (s["tenant"], s["trace_id"], s["span_id"]))
    result = compute(pa.Table.from_pylist(ordered, schema=schema), prices)
    # The books do not depend on the order in which spans are looked at.
    backwards = compute(pa.Table.from_pylist(ordered[::-1], schema=schema), prices)
    assert difference(result.book, backwards.book) == {}
    return result


def lines(result: Books, kind: str = "call") -> list[dict[str, Any]]:
    rows = [dict(zip((*DIMS, *MEASURES), (*key, *value), strict=True)) for key, value in result.book.items()]
    return sorted((r for r in rows if r["kind"] == kind), key=lambda r: (r["started_at_ns"], r["span_id"]))


def sums(result: Books) -> dict[str, Any]:
    return dict(zip(MEASURES, total(result.book.values()), strict=True))


def test_ids_come_from_the_nearest_ancestor_then_from_the_trace(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", user_id="ada"),
        span("b", "a", conversation_id="c1", workflow="outer"),
        span("c", "b", workflow="inner"),
        llm("d", "c"),
        span("e", "a", agent="planner"),
    )
    (call,) = lines(result)
    assert (call["user_id"], call["conversation_id"], call["workflow"]) == ("ada", "c1", "inner")
    assert call["agent"] == "planner", "the only agent of the trace"


def test_a_value_that_the_trace_contradicts_is_not_inherited_sideways(prices: LedgerPrices) -> None:
    result = books(prices, span("a"), span("b", "a", user_id="ada"), span("c", "a", user_id="bob"), llm("d", "a"))
    assert lines(result)[0]["user_id"] == ""


def test_a_parent_that_repeats_its_child_counts_once(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", scope="langchain"), llm("b", "a", scope="openai", cache_read_input_tokens=60))
    (call,) = lines(result)
    assert (call["llm_calls"], call["input_tokens"], call["cache_read_input_tokens"]) == (1, 100, 60)
    assert [j.others for j in result.joined] == [(("t1", "a", "langchain"),)]


def test_the_parent_lends_what_its_child_does_not_say(prices: LedgerPrices) -> None:
    result = books(
        prices,
        llm("a", reasoning_output_tokens=4, cost_claim_usd=Decimal("0.5"), cost_claim_source="local"),
        span("m", "a"),
        llm("b", "m", tokens=None),
    )
    (call,) = lines(result)
    assert (call["span_id"], call["input_tokens"], call["reasoning_output_tokens"]) == ("b", 100, 4)
    assert (call["claimed_usd"], call["claimed_calls"], call["computed_calls"]) == (Decimal("0.5"), 1, 1)


def test_an_agent_that_sums_up_its_calls_is_not_a_call(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", role="agent", input_tokens=300, output_tokens=30),
        llm("b", "a", (100, 10)),
        llm("c", "a", (200, 20), at=20),
    )
    assert sums(result)["llm_calls"] == 2
    assert sums(result)["input_tokens"] == 300


def test_a_sum_above_tells_what_the_one_silent_call_used(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", role="agent", input_tokens=300, output_tokens=30),
        llm("b", "a", (100, 10)),
        llm("c", "a", None, at=20),
    )
    assert [(c["input_tokens"], c["output_tokens"]) for c in lines(result)] == [(100, 10), (200, 20)]


def test_calls_without_a_model_are_of_the_model_of_the_sum_above(prices: LedgerPrices) -> None:
    turn = llm("00", tokens=(300, 30), provider="openai", request_model="gpt-5-codex")
    calls = [llm(f"0{n}", "00", at=n, tokens=(n * 100, n * 10), provider="", request_model="") for n in (1, 2)]
    said = [(row["model"], row["cost_state"], row["input_tokens"]) for row in lines(books(prices, turn, *calls))]
    assert said == [("gpt-5-codex", "computed", 100), ("gpt-5-codex", "computed", 200)]


def test_a_sum_over_a_guess_is_a_guess(prices: LedgerPrices) -> None:
    agent = span("a", role="agent", input_tokens=100, output_tokens=10)
    (alone,) = lines(books(prices, agent, llm("b", "a", usage_estimated=1)))
    assert (alone["estimated_calls"], alone["computed_calls"]) == (1, 0), "an agent repeats what was guessed below it"
    (known,) = lines(books(prices, agent, llm("b", "a", (90, 9), usage_estimated=1)))
    assert (known["computed_calls"], known["input_tokens"]) == (1, 100), "an agent that knows better was told"
    agent = span("a", role="agent", input_tokens=300, output_tokens=30)
    rest = lines(books(prices, agent, llm("b", "a", usage_estimated=1), llm("c", "a", None, at=20)))
    assert [(c["input_tokens"], c["estimated_calls"]) for c in rest] == [(100, 1), (200, 1)]


def test_usage_that_no_call_below_carries_counts(prices: LedgerPrices) -> None:
    result = books(prices, span("a", role="agent", input_tokens=300, output_tokens=30, request_model="gpt-4o-mini"))
    assert (sums(result)["llm_calls"], sums(result)["input_tokens"]) == (1, 300)


def test_retries_are_attempts_of_their_own(prices: LedgerPrices) -> None:
    result = books(
        prices,
        llm("a", ms=100),
        llm("b", "a", None, status="error", at=1),
        llm("c", "a", None, status="error", at=20),
        llm("d", "a", at=40),
    )
    assert (sums(result)["llm_calls"], sums(result)["failed_calls"], sums(result)["input_tokens"]) == (1, 2, 100)


def test_an_answer_that_no_attempt_below_saw_counts_beside_the_failures(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", ms=100), llm("b", "a", None, status="error"))
    assert (sums(result)["llm_calls"], sums(result)["failed_calls"]) == (1, 1)


def test_an_error_seen_by_two_layers_failed_once(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", tokens=None, status="error"), llm("b", "a", None, status="error"))
    assert (sums(result)["llm_calls"], sums(result)["failed_calls"]) == (0, 1)


def test_a_failure_with_usage_was_billed(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", status="error"))
    (call,) = lines(result)
    assert (call["llm_calls"], call["failed_calls"], call["status"]) == (1, 0, "error")


def test_a_stream_that_the_client_left_was_served_with_unknown_usage(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", tokens=None, status="error", finish_reason="aborted"))
    (call,) = lines(result)
    assert (call["llm_calls"], call["failed_calls"], call["unpriced_calls"]) == (1, 0, 1)


def test_one_response_id_is_one_call_in_whatever_traces(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("root", conversation_id="c1"),
        llm("a", "root", scope="langchain", response_id="r1"),
        llm("z", trace_id="t2", scope="openai", response_id="r1", at=500),
    )
    (call,) = lines(result)
    assert (call["trace_id"], call["conversation_id"]) == ("t1", "c1"), "the copy that knows the conversation stands"
    assert len(lines(result, "message")) == 1


def test_one_instrumentation_with_two_usages_under_one_id_saw_two_calls(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", response_id="r"), llm("b", trace_id="t2", response_id="r", tokens=(7, 7), at=900))
    assert sums(result)["llm_calls"] == 2


def test_an_emulator_that_answers_with_one_id_does_not_make_many_calls_one(prices: LedgerPrices) -> None:
    seen = ("langchain", "openai")
    tellings = [
        llm(f"{n:03}{scope}", trace_id=f"t{n}", scope=scope, response_id="chatcmpl-123", at=n * 100 + number, ms=20)
        for n in range(120)
        for number, scope in enumerate(seen)
    ]
    assert sums(books(prices, *tellings))["llm_calls"] == 120, "two instrumentations saw each of the 120 calls"


def test_orphan_copies_without_ids_join_one_to_one(prices: LedgerPrices) -> None:
    result = books(
        prices,
        llm("a", scope="litellm", ms=50),
        llm("b", trace_id="t2", scope="openai", at=2, ms=40),
        llm("c", trace_id="t3", scope="litellm", at=1, ms=50),
        llm("d", trace_id="t4", scope="openai", at=3, ms=40),
    )
    assert sums(result)["llm_calls"] == 2


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "litellm"},
        {"tokens": (100, 11)},
        {"request_model": "gpt-4o"},
        {"service": "other"},
        {"at": 400},
        {"conversation_id": "c2"},
        {"response_id": "r2"},
    ],
    ids=lambda o: "-".join(o),
)
def test_what_contradicts_is_not_joined(prices: LedgerPrices, other: dict[str, Any]) -> None:
    first = llm("a", scope="litellm", ms=50, conversation_id="c1", response_id="r1" if "response_id" in other else "")
    second = llm("b", trace_id="t2", **{"scope": "openai", "at": 2, "ms": 40, **other})
    assert sums(books(prices, first, second))["llm_calls"] == 2


def test_tenants_are_never_joined(prices: LedgerPrices) -> None:
    result = books(prices, llm("a", response_id="r"), llm("a", tenant="other", scope="x", response_id="r"))
    assert sorted(c["tenant"] for c in lines(result)) == ["default", "other"]


def test_an_embedding_below_a_chat_is_a_call_of_its_own(prices: LedgerPrices) -> None:
    result = books(prices, llm("a"), llm("b", "a", (5, 0), role="embedding", request_model="text-embedding-3-small"))
    assert (sums(result)["llm_calls"], sums(result)["input_tokens"]) == (2, 105)


def test_tools_and_messages(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", conversation_id="c1"),
        span("b", "a", role="workflow", workflow="assistant"),
        llm("c", "b", at=1),
        span("d", "b", role="tool", tool="calculator", scope="outer", at=15),
        span("e", "d", role="tool", tool="calculator", scope="inner", at=15, status="error"),
        llm("f", "e", at=17),
    )
    (tool,) = lines(result, "tool")
    assert (tool["tool"], tool["tool_calls"], tool["workflow"]) == ("calculator", 1, "assistant")
    assert [c["tool"] for c in lines(result)] == ["", "calculator"]
    (message,) = result.messages.values()
    assert (message.message_id, message.conversation_id, message.tools) == ("t1", "c1", ("calculator",))
    assert (message.workflow, message.status, message.duration_ns) == ("assistant", "ok", 27 * MS)
    assert sums(result)["messages"] == 2


def test_a_trace_of_several_conversations_is_a_message_in_each(prices: LedgerPrices) -> None:
    found = books(
        prices,
        span("root", ms=5000),
        llm("a", "root", (10, 1), conversation_id="c1", user_id="u1", at=100),
        llm("b", "root", (20, 2), conversation_id="c2", user_id="u2", at=200),
        span("t", "b", role="tool", tool="search", at=201, ms=1),
    )
    said = {key[1]: (message.user_id, message.tools, message.counted) for key, message in found.messages.items()}
    assert said == {"c1": ("u1", (), 2), "c2": ("u2", ("search",), 2)}
    assert {line["conversation_id"] for line in lines(found, "message")} == {"c1", "c2"}


def test_applications_may_count_their_messages_anew_in_each_conversation(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", conversation_id="c1", message_id="1"),
        llm("b", "a"),
        span("a", trace_id="t2", conversation_id="c2", message_id="1", at=60_000),
        llm("b", "a", trace_id="t2", at=60_000),
    )
    assert sorted(result.messages) == [("default", "c1", "1"), ("default", "c2", "1")]
    assert sums(result)["messages"] == 4


def test_a_message_told_of_in_two_traces_is_one(prices: LedgerPrices) -> None:
    result = books(
        prices,
        span("a", conversation_id="c1", message_id="m"),
        llm("b", "a"),
        llm("z", trace_id="t2", message_id="m", at=5000),
    )
    assert list(result.messages) == [("default", "c1", "m")]
    assert sums(result)["messages"] == 2


def test_a_failed_request_has_no_answer(prices: LedgerPrices) -> None:
    result = books(prices, span("a", status="error"), llm("b", "a", None, status="error", error_type="RateLimit"))
    (message,) = result.messages.values()
    assert (message.status, message.error_type) == ("error", "RateLimit")
    assert sums(result)["messages"] == 1


def test_a_trace_without_a_model_call_is_no_message(prices: LedgerPrices) -> None:
    assert books(prices, span("a"), span("b", "a")).messages == {}


def test_unknown_is_not_zero(prices: LedgerPrices) -> None:
    unmeasured = sums(books(prices, llm("a", tokens=None)))
    assert (unmeasured["llm_calls"], unmeasured["unpriced_calls"]) == (1, 1)
    unknown_model = sums(books(prices, llm("a", request_model="nobody-knows-this")))
    assert (unknown_model["unpriced_calls"], unknown_model["cost_usd"]) == (1, 0)
    estimated = sums(books(prices, llm("a", usage_estimated=1)))
    assert (estimated["estimated_calls"], estimated["cost_usd"]) == (1, Decimal("0.000021"))


def test_the_providers_own_bill_wins(prices: LedgerPrices) -> None:
    billed = sums(books(prices, llm("a", cost_claim_usd=Decimal("0.1"), cost_claim_source="provider")))
    assert (billed["billed_calls"], billed["cost_usd"]) == (1, Decimal("0.1"))


def test_cyclic_parents_and_long_chains_end(prices: LedgerPrices) -> None:
    cycle = [llm("a", "b"), span("b", "c", user_id="ada"), span("c", "a")]
    assert sums(books(prices, *cycle))["llm_calls"] == 1
    chain = [span(f"{i:05}", f"{i - 1:05}" if i else "") for i in range(10_000)]
    chain[0]["conversation_id"] = "far"
    (call,) = lines(books(prices, *chain, llm("leaf", "09999")))
    assert call["conversation_id"] == "far"


def test_an_answer_from_a_response_cache_is_nobodys_bill_but_the_messages(prices: LedgerPrices) -> None:
    told = books(prices, llm("a", message_id="m", response_cache="hit"))
    assert sums(told)["llm_calls"] == 0
    assert sums(told)["input_tokens"] == 0
    assert told.messages["default", "", "m"].models == ("gpt-4o-mini",)


def test_who_repeats_a_cached_answer_does_not_bill_it(prices: LedgerPrices) -> None:
    """LangChain over LiteLLM: only the inner one knows that the cache answered."""
    assert sums(books(prices, llm("outer"), llm("a", "outer", response_cache="hit", scope="litellm")))["llm_calls"] == 0


def test_a_cached_answer_leaves_the_call_that_it_repeats_in_the_books(prices: LedgerPrices) -> None:
    """It comes back with the response id under which the provider first gave it."""
    first = llm("a", response_id="r")
    again = llm("b", at=50, trace_id="t2", response_id="r", response_cache="hit")
    assert sums(books(prices, first, again))["llm_calls"] == 1
    assert sums(books(prices, first, again))["input_tokens"] == 100
