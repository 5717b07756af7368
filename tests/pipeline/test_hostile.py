"""Spans that cannot be right, sent through the real door: each lands with a reason, and none moves a total silently."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from oracle.spans import Span, Value, encode, hex_id
from system import WITHOUT_CHAT, System

SECOND = 10**9
YEAR = 365 * 86400 * SECOND
SERVICE = "hostile"
CALL: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
USAGE: dict[str, Value] = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
COST = 1000 * Decimal("0.15e-6") + 100 * Decimal("0.6e-6")
NOW = time.time_ns()


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("hostile") / "data", roles=WITHOUT_CHAT).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def span(trace: str, number: int = 0, parent: int | None = None, start_ns: int = NOW, **values: Any) -> Span:
    attributes = values.pop("attributes", {})
    return Span(
        tenant="default",
        service=SERVICE,
        scope="acme",
        trace_id=hex_id(trace, digits=32),
        span_id=hex_id(trace, number, digits=16),
        parent_span_id="" if parent is None else hex_id(trace, parent, digits=16),
        name="call" if attributes else "step",
        start_ns=start_ns,
        end_ns=start_ns + SECOND,
        attributes=attributes,
    )


def sql(books: System, query: str) -> list[list[Any]]:
    rows: list[list[Any]] = books.post("/v1/sql", {"query": query})["data"]
    return rows


def entry(books: System, trace: str) -> list[Any]:
    """What the ledger says of a trace's calls: calls, input, output, cost, unpriced calls."""
    wanted = "sum(llm_calls), sum(input_tokens), sum(output_tokens), toString(sum(cost_usd)), sum(unpriced_calls)"
    return sql(books, f"SELECT {wanted} FROM ledger WHERE trace_id = '{hex_id(trace, digits=32)}' AND kind = 'call'")[0]


def anomalies(books: System, trace: str) -> set[tuple[str, str]]:
    found = sql(books, f"SELECT kind, field, reason FROM anomalies WHERE trace_id = '{hex_id(trace, digits=32)}'")
    assert all(reason for _, _, reason in found)
    return {(kind, field) for kind, field, _ in found}


INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, REASONING = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens"
UNPRICED = ("unpriced", "input_tokens")


FIGURES: list[tuple[str, dict[str, Value], list[Any], set[tuple[str, str]]]] = [
    ("negative", {INPUT: -5}, [1, 0, 100, "0", 1], {("negative", "input_tokens"), UNPRICED}),
    ("fractional", {INPUT: 10.5}, [1, 0, 100, "0", 1], {("fractional", "input_tokens"), UNPRICED}),
    ("beyond Int64", {INPUT: "9223372036854775808"}, [1, 0, 100, "0", 1], {("huge", "input_tokens"), UNPRICED}),
    ("beyond all", {INPUT: 1e300}, [1, 0, 100, "0", 1], {("huge", "input_tokens"), UNPRICED}),
    ("infinite", {INPUT: float("inf")}, [1, 0, 100, "0", 1], {("huge", "input_tokens"), UNPRICED}),
    ("no number", {INPUT: float("nan")}, [1, 0, 100, "0", 1], {("nan", "input_tokens"), UNPRICED}),
    ("text", {INPUT: "a lot"}, [1, 0, 100, "0", 1], {("text", "input_tokens"), UNPRICED}),
    (
        "output text",
        {OUTPUT: "many"},
        [1, 1000, 0, "0", 1],
        {("text", "output_tokens"), ("unpriced", "output_tokens")},
    ),
    ("cache above input", {READ: 5000}, [1, 1000, 100, COST, 0], {("contradiction", "cache_read>input")}),
    ("reasoning above output", {REASONING: 101}, [1, 1000, 100, COST, 0], {("contradiction", "reasoning>output")}),
    ("total", {"gen_ai.usage.total_tokens": 7}, [1, 1000, 100, COST, 0], {("contradiction", "total_tokens")}),
    ("nan cost", {"gen_ai.usage.cost": float("nan")}, [1, 1000, 100, COST, 0], {("nan", "cost")}),
    ("infinite cost", {"gen_ai.usage.cost": float("inf")}, [1, 1000, 100, COST, 0], {("nan", "cost")}),
    ("negative cost", {"gen_ai.usage.cost": -1.5}, [1, 1000, 100, COST, 0], {("negative", "cost")}),
    ("text cost", {"gen_ai.usage.cost": "free"}, [1, 1000, 100, COST, 0], {("text", "cost")}),
    ("model", {"gen_ai.request.model": "nobody-knows-it"}, [1, 1000, 100, "0", 1], {("unpriced", "model")}),
]
CLOCKS = [
    ("in ten years", NOW + 10 * YEAR, "clock_future"),
    ("three years ago", NOW - 3 * YEAR, "clock_past"),
    ("at the beginning of time", 0, "clock_past"),
    ("in the year 2262", 9_220_000_000 * SECOND, "clock_future"),
    ("at the end of time", 2**64 - 2 * SECOND, "clock_future"),
]


@pytest.fixture(scope="module")
def told(books: System) -> System:
    """With all spans of FIGURES and CLOCKS in the books."""
    spans = [span(name, attributes={**CALL, **USAGE, **said}) for name, said, *_ in FIGURES]
    spans += [span(name, start_ns=start_ns, attributes={**CALL, **USAGE}) for name, start_ns, _ in CLOCKS]
    books.export(encode(spans))
    return books


@pytest.mark.parametrize(("name", "said", "expected", "odd"), FIGURES, ids=[name for name, *_ in FIGURES])
def test_a_figure_that_cannot_be_has_a_reason(
    told: System, name: str, said: dict[str, Value], expected: list[Any], odd: set[tuple[str, str]]
) -> None:
    calls, tokens_in, tokens_out, cost, unpriced = entry(told, name)
    assert [calls, tokens_in, tokens_out, Decimal(cost), unpriced] == [*expected[:3], Decimal(expected[3]), expected[4]]
    assert anomalies(told, name) == odd


@pytest.mark.parametrize(("name", "start_ns", "kind"), CLOCKS, ids=[name for name, *_ in CLOCKS])
def test_a_clock_that_is_years_off_is_named_and_its_call_counts(
    told: System, name: str, start_ns: int, kind: str
) -> None:
    assert entry(told, name)[:3] == [1, 1000, 100]
    assert anomalies(told, name) == {(kind, "started_at")}


def test_an_empty_id_is_refused_with_a_reason_and_its_neighbours_land(books: System) -> None:
    good = span("neighbour", attributes={**CALL, **USAGE})
    bad = [Span(**{**vars(good), name: ""}) for name in ("trace_id", "span_id")]
    body = encode([bad[0], good, bad[1]])
    status, _, answer = books.request(
        "POST", "/v1/traces", body, books.otlp_port, Content_Type="application/x-protobuf"
    )
    assert (status, b"without a valid trace id" in answer) == (200, True)
    books.flush()
    assert entry(books, "neighbour")[:3] == [1, 1000, 100]


def test_cyclic_parents_end_somewhere_and_say_so(books: System) -> None:
    usage = {**CALL, **USAGE}
    books.export(
        encode(
            [
                span("own parent", 1, parent=1, attributes=usage),
                span("circle", 1, parent=3),
                span("circle", 2, parent=1),
                span("circle", 3, parent=2),
                span("circle", 4, parent=3, attributes=usage),
            ]
        )
    )
    for name in ("own parent", "circle"):
        assert entry(books, name)[:3] == [1, 1000, 100]
        assert anomalies(books, name) == {("cycle", "parent_span_id")}


def test_tellings_of_one_call_that_disagree_are_named(books: System) -> None:
    outer = span("disagreeing", 1, attributes={**CALL, INPUT: 900, OUTPUT: 100})
    books.export(encode([outer, span("disagreeing", 2, parent=1, attributes={**CALL, **USAGE})]))
    assert entry(books, "disagreeing")[:3] == [1, 1000, 100]
    assert anomalies(books, "disagreeing") == {("contradiction", "usage")}


def test_ten_thousand_spans_of_one_trace_count_once_each(books: System) -> None:
    chain = [span("long", n, parent=n - 1 if n else None) for n in range(5000)]
    calls = [span("long", n, parent=n - 5000, attributes={**CALL, **USAGE}) for n in range(5000, 10000)]
    books.export(encode([*calls, *chain]))
    assert entry(books, "long")[:3] == [5000, 5_000_000, 500_000]
    assert anomalies(books, "long") == set()


def test_what_a_later_span_puts_right_is_no_anomaly_any_more(books: System) -> None:
    silent = span("put right", 1, attributes={**CALL, OUTPUT: 100})
    books.export(encode([silent]))
    assert anomalies(books, "put right") == {UNPRICED}
    books.export(encode([span("put right", 2, parent=1, attributes={**CALL, **USAGE})]))
    assert anomalies(books, "put right") == set()
    assert entry(books, "put right")[:3] == [1, 1000, 100]


def test_the_books_balance_and_audit_counts_what_was_odd(told: System) -> None:
    audit = told.get("audit")
    assert audit["differences"] == []
    assert audit["balanced"]
    counted = audit["anomalies"]
    listed = sql(told, "SELECT concat(kind, ':', field), count() FROM anomalies GROUP BY ALL")
    assert counted == dict(listed)
    assert counted["cycle:parent_span_id"] == 2
