"""Several tellings of one call: the same provider, model, price and owner, however they come."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ledger_books import COUNTS, TEXTS, llm, span

from spanledger.books.compute import compute
from spanledger.books.entries import DIMS, MEASURES
from spanledger.ledger.activations import Activation, LedgerPrices
from spanledger.ledger.rollups import EARLIEST, LATEST
from spanledger.pricing import load_book

OWN = "spanledger.workflows"
USED = (120, 30)
COST = Decimal("0.000036000000000")  # 120 × 0.15 + 30 × 0.60 per million
SERVED = "gpt-4o-mini-2024-07-18"


@pytest.fixture(scope="module")
def prices() -> LedgerPrices:
    book = load_book()
    return LedgerPrices([Activation("first", book.version, EARLIEST, LATEST)], {book.version: book})


def calls(prices: LedgerPrices, *spans: dict[str, Any]) -> list[dict[str, Any]]:
    schema = pa.schema(
        [(t, pa.string()) for t in TEXTS]
        + [(c, pa.int64()) for c in (*COUNTS, "started_at_ns", "duration_ns", "usage_estimated", "received_at_ms")]
        + [("cost_claim_usd", pa.decimal128(38, 15))]
    )
    ordered = sorted(spans, key=lambda s: (s["tenant"], s["trace_id"], s["span_id"]))
    found = compute(pa.Table.from_pylist(ordered, schema=schema), prices).book
    rows = [dict(zip((*DIMS, *MEASURES), (*key, *value), strict=True)) for key, value in found.items()]
    return [row for row in rows if row["kind"] == "call"]


def facts(line: dict[str, Any]) -> tuple[Any, ...]:
    names = ("provider", "model", "cost_usd", "cost_state", "conversation_id", "user_id")
    return tuple(line[name] for name in names)


def client(span_id: str, **values: Any) -> dict[str, Any]:
    """An instrumented OpenAI client whose `base_url` is a gateway: it knows the user and the gateway's name."""
    said = {"scope": "openinference.instrumentation.openai", "service": "shop", "provider": "gateway.internal"}
    said |= {"server_address": "gateway.internal", "request_model": "small", "response_model": "small"}
    return llm(span_id, tokens=USED, **{**said, "conversation_id": "c1", "user_id": "ada", **values})


def gateway(span_id: str, **values: Any) -> dict[str, Any]:
    """The gateway, which knows where the call went."""
    said = {"scope": "litellm", "service": "gateway", "provider": "openai", "server_address": "api.openai.com"}
    return llm(span_id, tokens=USED, **{**said, "request_model": "gpt-4o-mini", "response_model": SERVED, **values})


def own(span_id: str, **values: Any) -> dict[str, Any]:
    """Our own service."""
    said = {"scope": OWN, "service": "spanledger", "provider": "openai", "response_model": SERVED}
    return llm(span_id, tokens=USED, **{**said, "request_model": "gpt-4o-mini", **values})


def sdk(span_id: str, **values: Any) -> dict[str, Any]:
    """A second instrumentation of the same client."""
    said = {"scope": "opentelemetry.instrumentation.openai.v1", "service": "shop", "provider": "openai_compatible"}
    return llm(span_id, tokens=USED, **{**said, "request_model": "small", **values})


TELLERS = {"client": client, "gateway": gateway, "own": own, "sdk": sdk}


@st.composite
def arrangements(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Two or three tellings of one call that know together who answered: in any order, nesting, traces and delay."""
    knowing = draw(st.sampled_from(["gateway", "own"]))
    others = draw(st.lists(st.sampled_from(["sdk", "gateway", "own"]), min_size=0, max_size=1))
    names = draw(st.permutations(list(dict.fromkeys(["client", knowing, *others]))))
    spans: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        parent = draw(st.sampled_from([None, *range(number)]))
        trace = f"t{number}" if parent is None else spans[parent]["trace_id"]
        spans.append(
            TELLERS[name](
                f"s{draw(st.integers(0, 9))}{number}",
                trace_id=trace,
                parent_span_id="" if parent is None else spans[parent]["span_id"],
                response_id="chatcmpl-1",
                at=draw(st.integers(0, 40)),
                ms=draw(st.integers(1, 90)),
            )
        )
    return spans


@settings(max_examples=150, deadline=None)
@given(arrangements())
def test_any_tellings_of_one_call_say_the_same(prices: LedgerPrices, told: list[dict[str, Any]]) -> None:
    found = calls(prices, *told)
    shown = [{k: v for k, v in one.items() if v not in ("", None, 0)} for one in told]
    assert [line["llm_calls"] for line in found] == [1], shown
    assert facts(found[0]) == ("openai", SERVED, COST, "computed", "c1", "ada"), shown


@st.composite
def embeddings(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Two or three tellings of one embedding without an id, each within the time of the one before."""
    knowing = draw(st.permutations(["gateway", "own"]))
    names = ["client", *knowing[: draw(st.integers(1, 2))]]
    ids = draw(st.permutations("abc"))
    said = {"role": "embedding", "request_model": "text-embedding-3-small", "response_model": "", "output_tokens": None}
    spans: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        parent = draw(st.sampled_from([None, *range(number)]))
        spans.append(
            TELLERS[name](
                ids[number],
                trace_id=f"t{ids[number]}" if parent is None else spans[parent]["trace_id"],
                parent_span_id="" if parent is None else spans[parent]["span_id"],
                at=20 * number + draw(st.integers(0, 15)),
                ms=120 - 40 * number,
                **said,
            )
        )
    return draw(st.permutations(spans))


@settings(max_examples=150, deadline=None)
@given(embeddings())
def test_embeddings_without_an_id_are_joined_as_calls_are(prices: LedgerPrices, told: list[dict[str, Any]]) -> None:
    found = calls(prices, *told)
    shown = [{k: v for k, v in one.items() if v not in ("", None, 0)} for one in told]
    assert [line["llm_calls"] for line in found] == [1], shown
    assert (found[0]["provider"], found[0]["user_id"], found[0]["cost_state"]) == ("openai", "ada", "computed"), shown


@pytest.mark.parametrize("server", ["api.openai.com", "vectors.internal", ""])
def test_equal_embeddings_of_two_services_at_one_host_are_two(prices: LedgerPrices, server: str) -> None:
    said = {"role": "embedding", "request_model": "text-embedding-3-small", "response_model": "", "provider": "openai"}
    said |= {"output_tokens": None, "server_address": server}
    one = client("a", trace_id="t1", ms=100, **said)
    other = client("b", trace_id="t2", at=5, ms=50, **said, scope="openlit", service="index")
    assert sum(line["llm_calls"] for line in calls(prices, one, other)) == 2


def test_our_own_span_stands_for_the_call(prices: LedgerPrices) -> None:
    """Budgets of a key find their calls by the span of our own service."""
    told = [client("a", trace_id="t1", response_id="x"), own("b", trace_id="t2", response_id="x", at=1)]
    (line,) = calls(prices, *told)
    assert (line["trace_id"], line["span_id"], line["service"]) == ("t2", "b", "spanledger")


LOWERING: dict[str, dict[str, Any]] = {
    "fewer tokens": {"input_tokens": 1, "output_tokens": 1},
    "a cheaper model": {"response_model": "gpt-4.1-nano"},
    "a smaller bill": {"cost_claim_usd": Decimal("0.000000001"), "cost_claim_source": "provider"},
    "an answer from a cache": {"response_cache": "hit"},
    "another user": {"user_id": "bob"},
    "an error": {"status": "error"},
}


@pytest.mark.parametrize("lie", LOWERING.values(), ids=list(LOWERING))
@pytest.mark.parametrize("where", ["below", "above", "elsewhere"])
def test_nobody_else_lowers_what_our_own_service_says(prices: LedgerPrices, lie: dict[str, Any], where: str) -> None:
    honest = own("a", trace_id="t1", user_id="ada", response_id="x")
    false = sdk("b", trace_id="t1", response_id="x", **lie)
    if where == "below":
        false["parent_span_id"] = "a"
    elif where == "above":
        honest["parent_span_id"] = "b"
    else:
        false["trace_id"] = "t2"
    found = [line for line in calls(prices, honest, false) if line["user_id"] == "ada"]
    assert [(line["cost_usd"], line["cost_state"]) for line in found] == [(COST, "computed")]


def test_several_small_calls_below_ours_do_not_replace_it(prices: LedgerPrices) -> None:
    small = [sdk(f"b{n}", parent_span_id="a", input_tokens=1, output_tokens=1) for n in range(2)]
    assert sum(line["cost_usd"] for line in calls(prices, own("a"), *small)) >= COST


def test_thoughts_that_only_the_outer_telling_counts_are_not_lost(prices: LedgerPrices) -> None:
    model = {"provider": "gcp.gemini", "request_model": "gemini-2.5-flash", "scope": "adk"}
    outer = llm("a", tokens=(5000, 500), reasoning_output_tokens=380, cache_read_input_tokens=4000, **model)
    (line,) = calls(prices, outer, llm("b", "a", tokens=(5000, 120), **model))
    assert (line["output_tokens"], line["reasoning_output_tokens"], line["cache_read_input_tokens"]) == (500, 380, 4000)


CONTRADICTING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "two providers": ({"provider": "openai"}, {"provider": "azure.ai.openai"}),
    "two hosts": ({"server_address": "a.example"}, {"server_address": "b.example"}),
    "two models served": ({"response_model": "gpt-4o-mini-2024-07-18"}, {"response_model": "gpt-4o-mini-2025-01-01"}),
    "two ends": ({"finish_reason": "stop"}, {"finish_reason": "length"}),
    "two makers of one model": ({"provider": "groq"}, {"provider": "together_ai"}),
}


@pytest.mark.parametrize("pair", CONTRADICTING.values(), ids=list(CONTRADICTING))
@pytest.mark.parametrize("traces", [("t1", "t1"), ("t1", "t2")], ids=["one trace", "two traces"])
def test_hedged_calls_with_equal_counts_are_two(
    prices: LedgerPrices, pair: tuple[dict[str, Any], dict[str, Any]], traces: tuple[str, str]
) -> None:
    told = [
        llm(f"s{n}", tokens=USED, scope=f"scope{n}", trace_id=traces[n], at=n, ms=100 - 10 * n, **said)
        for n, said in enumerate(pair)
    ]
    assert sum(line["llm_calls"] for line in calls(prices, *told)) == 2


def test_a_client_named_openai_is_the_provider_whose_host_the_other_saw(prices: LedgerPrices) -> None:
    told = [
        llm("a", tokens=USED, scope="langchain", ms=100),
        llm("b", tokens=USED, scope="sdk", at=5, provider="groq", server_address="api.groq.com", trace_id="t2"),
    ]
    (line,) = calls(prices, *told)
    assert line["provider"] == "groq"


def test_a_stream_and_the_span_of_its_result_are_one_call(prices: LedgerPrices) -> None:
    said = {"scope": "logfire.openai", "conversation_id": "c1"}
    asked = [llm(f"a{n}", tokens=None, trace_id=f"t{n}", at=n * 10, told_calls=0, **said) for n in range(3)]
    result = {"response_model": SERVED, "ms": 0, "finish_reason": "stop"}
    told = [llm(f"b{n}", trace_id=f"u{n}", at=900 + n, response_id=f"x{n}", **said, **result) for n in range(2)]
    found = calls(prices, *asked, *told)
    assert sorted((line["cost_state"], line["llm_calls"]) for line in found) == [
        ("computed", 1),
        ("computed", 1),
        ("unpriced", 1),
    ]


def test_a_helper_beside_the_real_call_is_none_and_alone_counts(prices: LedgerPrices) -> None:
    helper = llm("b", "a", tokens=None, ms=1, told_calls=0)
    parent = span("a", role="chain")
    assert len(calls(prices, parent, helper, llm("c", "a", at=5))) == 1
    (line,) = calls(prices, parent, helper)
    assert line["cost_state"] == "unpriced"


def test_a_record_of_what_a_call_has_used_counts_where_the_call_is_not_there(prices: LedgerPrices) -> None:
    """AG2 records each use in a span beside the call; what a live session has used has no other span."""
    parent = span("a", role="agent", ms=5_000)

    def record(span_id: str, at: int, tokens: tuple[int, int] = USED) -> dict[str, Any]:
        return llm(span_id, "a", at=at, ms=0, tokens=tokens, told_calls=0)

    both = [llm("b", "a", at=5, ms=40, tokens=USED), llm("d", "a", at=60, ms=40, tokens=USED)]
    assert len(calls(prices, parent, *both, record("c", 45), record("e", 101))) == 2
    assert len(calls(prices, parent, both[0], record("c", 45), record("e", 60, (7, 7)))) == 2
    (line,) = calls(prices, parent, record("c", 45))
    assert (line["input_tokens"], line["output_tokens"]) == USED


def test_a_call_without_an_answer_is_no_helper_of_a_later_call(prices: LedgerPrices) -> None:
    silent = llm("b", "a", tokens=None, ms=400, told_calls=0)
    found = calls(prices, span("a", role="chain"), silent, llm("c", "a", at=2_400, ms=400))
    assert sorted(line["cost_state"] for line in found) == ["computed", "unpriced"]


@pytest.mark.parametrize("owner", [{}, {"conversation_id": "c1", "user_id": "ada"}])
def test_the_trace_in_which_a_call_was_told_of_first_stands_for_it(prices: LedgerPrices, owner: dict[str, str]) -> None:
    layers = [
        llm("a", scope="langchain", response_id="r1", at=5, ms=90, **owner),
        llm("b", "a", scope="openai", at=10, ms=80),
        llm("c", "b", scope="httpx", at=15, ms=70),
    ]
    copy = llm("d", scope="gateway", trace_id="t0", response_id="r1", at=12, ms=76, **owner)
    (line,) = calls(prices, *layers, copy)
    assert (line["trace_id"], line["span_id"]) == ("t1", "c")


def test_a_chain_that_alone_tells_of_several_calls_stands_for_them(prices: LedgerPrices) -> None:
    chain = span("a", role="chain", input_tokens=250, output_tokens=46, told_calls=2)
    (line,) = calls(prices, chain)
    assert (line["llm_calls"], line["unpriced_calls"], line["input_tokens"]) == (2, 2, 250)
    (line,) = calls(prices, chain, llm("b", "a", tokens=(250, 46)))
    assert (line["llm_calls"], line["computed_calls"]) == (1, 1)


@pytest.mark.parametrize("model", ["gpt-4o-mini", ""])
@pytest.mark.parametrize("where", ["below", "beside"])
def test_several_helpers_of_one_call_are_none(prices: LedgerPrices, where: str, model: str) -> None:
    parent, real = span("a", role="chain"), llm("b", "a", at=5)
    under = "b" if where == "below" else "a"
    helpers = [
        llm(f"h{n}", under, tokens=None, at=6 + n, ms=1, told_calls=0, request_model=model, response_model="")
        for n in range(3)
    ]
    (line,) = calls(prices, parent, real, *helpers)
    assert (line["llm_calls"], line["computed_calls"], line["span_id"]) == (1, 1, "b")


def test_steps_that_repeat_a_sum_of_several_calls_stand_for_as_many(prices: LedgerPrices) -> None:
    said = {"input_tokens": 250, "output_tokens": 46, "told_calls": 2}
    (line,) = calls(prices, span("a", role="chain", **said), span("b", "a", role="agent", **said))
    assert (line["llm_calls"], line["input_tokens"]) == (2, 250)
