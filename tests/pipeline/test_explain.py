"""Every figure of the books can be explained, to the last digit: over all recorded dialects and over random forests."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from captures import all_captures
from explained import expect_exact
from oracle.deliveries import deliveries
from oracle.forests import forests, isolated
from otlp_make import trace_request
from spanledger.books.entries import MEASURES
from spanledger.errors import BadRequest, NotFound
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.stats.explain import Subject, explain
from spanledger.stats.usage import usage_of
from spanledger.store.client import Store

_BY_TIME = [("user", "user_id", 7), ("model", "model", 25), ("conversation", "conversation_id", 2)]
_ID = {"message": "message_id", "conversation": "conversation_id", "user": "user_id", "trace": "trace_id"}


class Books:
    """Door, engine and ledger of one store, without a network."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        chosen = Settings(data_dir=folder, otlp_http_port=0, otlp_grpc_port=0)
        self.ingest, self.ledger = Ingest(chosen, store), Ledger(store, chosen)
        self.ingest.start(listen=False)

    def send(self, bodies: list[tuple[str, bytes]]) -> None:
        for content_type, body in bodies:
            assert self.ingest.submit("traces", body, content_type).accepted
        assert self.ingest.flush(120)
        self.ledger.settler.settle_now()

    def explain(self, tenant: str, **what: Any) -> dict[str, Any]:
        return asdict(explain(self.store, tenant, self.ledger.prices, Subject(**what), limit=1000))

    def names(self, tenant: str, column: str) -> list[str]:
        sql = f"SELECT DISTINCT {column} FROM ledger WHERE tenant = {{tenant:String}} AND {column} != ''"
        return [row[0] for row in self.store.query(sql, {"tenant": tenant})]

    def figure(self, tenant: str, column: str, value: str) -> dict[str, Any]:
        """What the ledger adds up to, asked apart."""
        sums = ", ".join(f"sum(l.{m}) AS {m}" for m in MEASURES)
        sql = f"SELECT {sums} FROM ledger AS l WHERE tenant = {{tenant:String}} AND {column} = {{value:String}}"
        return asdict(usage_of(self.store.dicts(sql, {"tenant": tenant, "value": value})[0]))


@pytest.fixture(scope="module")
def books(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    running = Books(store, tmp_path_factory.mktemp("explain"))
    yield running
    running.ingest.stop()


def subject(kind: str, value: str) -> dict[str, Any]:
    return {kind: value} if kind in ("message", "trace", "span") else {"only": {kind: [value]}}


def expect_all_explained(books: Books, tenant: str, every: int = 1) -> int:
    """Of traces and messages every so many."""
    count = 0
    for kind, column in _ID.items():
        step = every if kind in ("trace", "message") else 1
        for value in sorted(books.names(tenant, column))[::step]:
            found = books.explain(tenant, **subject(kind, value))
            expect_exact(found)
            assert found["usage"] == books.figure(tenant, column, value)
            count += 1
    return count


def test_every_recorded_dialect_is_explained(books: Books) -> None:
    books.send([body for capture in all_captures() for body in capture.bodies])
    assert expect_all_explained(books, "default", every=6) > 50
    for service in books.names("default", "service"):
        expect_exact(books.explain("default", only={"service": [service]}))


def test_what_was_read_names_key_and_value_of_the_span(books: Books) -> None:
    capture = next(one for one in all_captures() if str(one).startswith("otel-openai-v2/"))
    books.send(list(capture.bodies))
    trace = capture.truth["trace_ids"][0]
    (call, *_) = books.explain("default", trace=trace)["calls"]
    raw = books.store.dicts(
        "SELECT SpanId, SpanAttributes AS attributes FROM otel_traces WHERE TraceId = {trace:String}", {"trace": trace}
    )
    said = {row["SpanId"]: dict(row["attributes"]) for row in raw}
    fields = {one["field"] for one in call["read"]}
    assert {"input_tokens", "output_tokens", "operation"} <= fields
    for one in call["read"]:
        if not one["key"].startswith(("resource:", "event:", "status:")) and "inside" not in one["rule"]:
            assert said[one["span_id"]][one["key"]].strip('"').startswith(one["value"].strip('"')[:100])


def test_joined_spans_are_listed_with_their_reason(books: Books) -> None:
    joined = [
        one
        for service in books.names("default", "service")
        for call in books.explain("default", only={"service": [service]})["calls"]
        for one in call["joined"]
    ]
    assert any("response id" in one["reason"] for one in joined)
    assert any("around it" in one["reason"] for one in joined)


@pytest.mark.parametrize("turn", range(2))
def test_random_forests_are_explained(books: Books, turn: int) -> None:
    sent: list[Any] = []

    @given(data=st.data())
    @settings(
        max_examples=10, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    def draw(data: st.DataObject) -> None:
        forest = isolated(data.draw(forests(max_traces=3)), f"explain{turn}-{len(sent)}")
        sent.append((forest, data.draw(deliveries(forest.spans))))

    draw()
    bodies = [("application/x-protobuf", body) for _, plan in sent for body in plan.bodies]
    books.send(bodies)
    for tenant in sorted({span.tenant for forest, _ in sent for span in forest.spans}):
        expect_all_explained(books, tenant, every=3)


@pytest.mark.parametrize(("dimension", "column", "limit"), [("service", "service", 3), *_BY_TIME])
def test_pages_and_rest_make_up_the_figure(books: Books, dimension: str, column: str, limit: int) -> None:
    tenant = "default"
    value = books.store.scalar(
        f"SELECT {column} FROM ledger WHERE tenant = 'default' AND {column} != '' GROUP BY 1 ORDER BY count() DESC"
    )
    subject_ = Subject(only={dimension: [value]})
    whole = asdict(explain(books.store, tenant, books.ledger.prices, subject_, 1000))
    calls, entries, cursor = [], [], None
    while True:
        page = explain(books.store, tenant, books.ledger.prices, subject_, limit, cursor)
        calls += page.calls
        entries += page.entries
        expect_exact(asdict(page))
        if (cursor := page.next_cursor) is None:
            break
    assert len(calls) == len(whole["calls"]) > 1
    assert [asdict(entry) for entry in entries] == whole["entries"]
    assert {entry.trace_id for entry in entries} == _traces_that_count(books, column, value)
    assert sum(Decimal(call.amount) for call in calls) == Decimal(whole["usage"]["cost_usd"])


def _traces_that_count(books: Books, column: str, value: str) -> set[str]:
    """Traces with entries that do not cancel out."""
    remains = " OR ".join(f"sum(l.{name}) != 0" for name in MEASURES)
    sql = f"""
        SELECT DISTINCT trace_id FROM
        (
            SELECT started_at, trace_id, span_id FROM ledger AS l
            WHERE tenant = 'default' AND {column} = {{value:String}} GROUP BY ALL HAVING {remains}
        )
    """
    return {row[0] for row in books.store.query(sql, {"value": value})}


def test_nothing_is_not_explained(books: Books) -> None:
    with pytest.raises(NotFound):
        books.explain("default", trace="nobody-sent-this")
    with pytest.raises(BadRequest):
        books.explain("default")
    trace = books.names("default", "trace_id")[0]
    with pytest.raises(NotFound):
        books.explain("another-tenant", trace=trace)


def test_a_claim_differs_from_no_price_by_nothing_known(books: Books) -> None:
    about = {"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "claims", "gen_ai.provider.name": "openai"}
    about |= {"gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 100, "gen_ai.usage.cost.amount": 0.25}
    for model in ("nobody-prices-this", "gpt-4o"):
        sent = trace_request({"attributes": {**about, "gen_ai.request.model": model}})
        books.send([("application/x-protobuf", sent.SerializeToString())])
    calls = books.explain("default", only={"conversation": ["claims"]})["calls"]
    assert {(call["cost_state"], call["claim"], call["difference"]) for call in calls} == {
        ("unpriced", "0.25", None),
        ("computed", "0.25", "-0.248"),
    }


def test_a_message_is_explained_by_the_id_of_its_answer_too(books: Books) -> None:
    about = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "chatcmpl-named", "spanledger.message.id": "named"}
    books.send([("application/x-protobuf", trace_request({"attributes": about}).SerializeToString())])
    assert books.explain("default", message="chatcmpl-named") == books.explain("default", message="named") | {
        "books": ANY
    }


def test_a_call_whose_start_was_corrected_is_on_one_page(books: Books) -> None:
    now, trace, span = time.time_ns(), os.urandom(16), os.urandom(8)
    about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 11}

    def sent(start_ns: int, end_ns: int, **ids: bytes) -> dict[str, Any]:
        return {"start_time_unix_nano": start_ns, "end_time_unix_nano": end_ns, "attributes": about} | ids

    first = trace_request(sent(now, now + 1_000_000, span_id=span), sent(now + 500_000, now + 700_000), trace_id=trace)
    again = trace_request(sent(now + 600_000, now + 3_000_000, span_id=span), trace_id=trace)  # the same span, longer
    for body in (first, again):
        books.send([("application/x-protobuf", body.SerializeToString())])
    pages, cursor = [], None
    while True:
        pages.append(explain(books.store, "default", books.ledger.prices, Subject(trace=trace.hex()), 1, cursor))
        if (cursor := pages[-1].next_cursor) is None:
            break
    whole = books.explain("default", trace=trace.hex())
    assert all(page.books.balanced for page in pages)
    calls = [call.span_id for page in pages for call in page.calls]
    assert len(calls) == len(set(calls)) == len(whole["calls"]) == 2
    assert [asdict(entry) for page in pages for entry in page.entries] == whole["entries"]
    assert sum(entry["sign"] for entry in whole["entries"] if entry["span_id"] == span.hex()) == 1


def test_a_call_that_left_a_user_is_on_no_page_of_that_user(books: Books) -> None:
    now, trace, span = time.time_ns(), os.urandom(16), os.urandom(8)
    about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 7}

    def sent(user: str, duration_ns: int, **ids: bytes) -> tuple[str, bytes]:
        times = {"start_time_unix_nano": now, "end_time_unix_nano": now + duration_ns}
        one = times | ids | {"attributes": about | {"user.id": user}}
        return "application/x-protobuf", trace_request(one, trace_id=trace).SerializeToString()

    books.send([sent("leaving", 1_000_000, span_id=span), sent("leaving", 1_000_000), sent("leaving", 1_000_000)])
    books.send([sent("arriving", 2_000_000, span_id=span)])  # the same span once more, and longer
    pages, cursor = [], None
    while True:
        pages.append(
            explain(books.store, "default", books.ledger.prices, Subject(only={"user": ["leaving"]}), 1, cursor)
        )
        if (cursor := pages[-1].next_cursor) is None:
            break
    whole = books.explain("default", only={"user": ["leaving"]})
    assert whole["usage"] == books.figure("default", "user_id", "leaving")
    assert [asdict(entry) for page in pages for entry in page.entries] == whole["entries"]
    listed = {entry["span_id"] for entry in whole["entries"]}
    assert listed - {None} == {call["span_id"] for call in whole["calls"]}
    assert len(whole["calls"]) == 2
    assert span.hex() not in listed
    assert span.hex() in {call["span_id"] for call in books.explain("default", only={"user": ["arriving"]})["calls"]}
