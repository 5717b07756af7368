"""Copies of one call in different traces are found whichever comes first: each is settled before the other is there."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otlp_rows import COLUMNS
from spanledger.ledger.batches import forget, new_run, take
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.settler import settle
from spanledger.ledger.work import COLUMNS as WORK_COLUMNS
from spanledger.settings import Settings
from spanledger.store.client import Store

SECOND = 10**9
START = 1_790_000_015 * SECOND
TOKENS = {"gen_ai.usage.input_tokens": "812", "gen_ai.usage.output_tokens": "77"}
NO_TOKENS: dict[str, str] = {}

Arrive = Callable[..., None]


@pytest.fixture(scope="module")
def ledger(store: Store, data_dir: Path) -> Ledger:
    return Ledger(store, Settings(data_dir=data_dir))


@pytest.fixture
def arrive(store: Store, tenant: str, ledger: Ledger) -> Arrive:
    """A trace of one call arrives and is settled."""

    def _arrive(
        scope: str,
        start: float,
        seconds: float,
        attributes: dict[str, str],
        trace: str = "",
        merged: bool = False,
    ) -> None:
        """A span of a trace that is named comes again. `merged`: the engine has forgotten what it replaces."""
        attributes = dict(attributes)
        service = attributes.pop("@service", "shop")
        row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {
            "Timestamp": START + int(start * SECOND),
            "TraceId": trace or uuid.uuid4().hex,
            "SpanId": trace[:16] or uuid.uuid4().hex[:16],
            "SpanName": "chat gpt-4o-mini",
            "ServiceName": service,
            "ResourceAttributes": {"service.name": service},
            "ScopeName": scope,
            "SpanAttributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"} | attributes,
            "Duration": int(seconds * SECOND),
            "StatusCode": "Unset",
            "Events.Timestamp": [],
            "Events.Name": [],
            "Events.Attributes": [],
            "Tenant": tenant,
        }
        store.insert("otel_traces", COLUMNS, [[row[name] for name in COLUMNS]])
        if merged:
            store.command("OPTIMIZE TABLE genai_spans FINAL")
        ledger.settler.settle_now()

    return _arrive


def calls(store: Store, tenant: str) -> int:
    return int(store.scalar("SELECT sum(llm_calls) FROM ledger WHERE tenant = {tenant:String}", {"tenant": tenant}))


@pytest.mark.parametrize("apart", [0, 20, 44.5, 60])
@pytest.mark.parametrize("attributes", [TOKENS, {"gen_ai.conversation.id": "c1"}], ids=["tokens", "conversation"])
@pytest.mark.parametrize("inner_first", [True, False])
def test_alike_within_a_minute(
    store: Store, tenant: str, arrive: Arrive, apart: float, attributes: dict[str, str], inner_first: bool
) -> None:
    told = [("acme.proxy", 0, 90, attributes), ("acme.client", apart, 5, attributes)]
    for span in reversed(told) if inner_first else told:
        arrive(*span)
    assert calls(store, tenant) == 1


@pytest.mark.parametrize("answer", [True, False])
def test_an_answer_is_known_by_its_id(store: Store, tenant: str, arrive: Arrive, answer: bool) -> None:
    named = {"gen_ai.response.id": f"resp-{tenant}"} if answer else NO_TOKENS
    arrive("acme.proxy", 0, 2, TOKENS | named)
    arrive("acme.client", 200, 2, named)
    assert calls(store, tenant) == (1 if answer else 2)


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("merged", [False, True])
def test_a_copy_that_comes_again_and_says_otherwise_gives_the_other_its_call_back(
    store: Store, tenant: str, arrive: Arrive, again: int, merged: bool
) -> None:
    traces = [uuid.uuid4().hex, uuid.uuid4().hex]
    told = [("acme.proxy", 0, 2), ("acme.client", 200, 2)]
    same, another = {"gen_ai.response.id": f"resp-{tenant}"}, {"gen_ai.response.id": f"other-{tenant}"}
    for span, trace in zip(told, traces, strict=True):
        arrive(*span, TOKENS | same, trace)
    assert calls(store, tenant) == 1
    scope, start, _ = told[again]
    arrive(scope, start, 3, TOKENS | another, traces[again], merged)  # of two tellings of a span the longer one stands
    assert calls(store, tenant) == 2
    arrive(scope, start, 4, TOKENS | same, traces[again], merged)
    assert calls(store, tenant) == 1


@pytest.mark.parametrize(
    "other",
    [
        ("acme.client", 3, 2, TOKENS),  # not at the same time
        ("acme.proxy", 1, 2, TOKENS),  # the same instrumentation
        ("acme.client", 1, 1, TOKENS | {"gen_ai.usage.output_tokens": "78"}),
    ],
    ids=["later", "same teller", "other counts"],
)
def test_strangers_stay_apart(
    store: Store, tenant: str, arrive: Arrive, other: tuple[str, float, float, dict[str, str]]
) -> None:
    arrive("acme.proxy", 0, 2, TOKENS)
    arrive(*other)
    assert calls(store, tenant) == 2


def test_three_copies_find_each_other_one_after_the_other(store: Store, tenant: str, arrive: Arrive) -> None:
    arrive("acme.proxy", 0, 2, TOKENS | {"gen_ai.response.id": f"resp-{tenant}"})
    arrive("acme.http", 0.2, 1, TOKENS)
    arrive("acme.client", 0.1, 1.5, {"gen_ai.response.id": f"resp-{tenant}"})
    assert calls(store, tenant) == 1


@pytest.mark.parametrize("by_others", [False, True])
def test_a_trace_settled_along_waits_again_only_if_another_settler_has_it(
    store: Store, tenant: str, arrive: Arrive, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, by_others: bool
) -> None:
    same = TOKENS | {"gen_ai.response.id": f"resp-{tenant}"}
    before = uuid.uuid4().hex
    arrive("acme.client", 0, 2, same, before)
    run_id = new_run()
    if by_others:
        store.insert("settle_work", WORK_COLUMNS, [[run_id, 0, tenant, before]])
    with monkeypatch.context() as patch:
        patch.setattr(ledger.settler, "settle_now", lambda: None)
        arrive("acme.proxy", 200, 2, same)
    batch = take(store)
    assert batch is not None
    settle(store, ledger.prices, batch)
    forget(store, run_id)
    waiting = store.query("SELECT trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0")
    assert waiting == ([(before,)] if by_others else [])
    ledger.settler.settle_now()
    assert calls(store, tenant) == 1


@pytest.mark.parametrize("inner_first", [True, False])
def test_embeddings_of_our_own_service_and_its_client(
    store: Store, tenant: str, arrive: Arrive, inner_first: bool
) -> None:
    embedding = {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": "31"}
    told = [
        ("acme.client", 0, 2, embedding | {"@service": "shop"}),
        ("spanledger.x", 0.5, 1, embedding | {"@service": "ours"}),
    ]
    for span in reversed(told) if inner_first else told:
        arrive(*span)
    assert calls(store, tenant) == 1


@pytest.mark.parametrize("result_first", [True, False])
@pytest.mark.parametrize("seconds", [3, 70])
def test_a_stream_and_its_result_in_another_trace(
    store: Store, tenant: str, arrive: Arrive, result_first: bool, seconds: int
) -> None:
    told = [("logfire.openai", 0, 0.1, NO_TOKENS), ("logfire.openai", seconds, 0, TOKENS)]
    for span in reversed(told) if result_first else told:
        arrive(*span)
    assert calls(store, tenant) == 1


def test_two_traces_of_one_message_are_one_message(store: Store, tenant: str, arrive: Arrive) -> None:
    message = {"spanledger.message.id": "m1", "gen_ai.conversation.id": "c1"}
    arrive("acme.client", 0, 2, TOKENS | message)
    arrive("acme.client", 86_400, 2, TOKENS | message)
    found = store.query(
        "SELECT sum(messages), sum(llm_calls) FROM ledger WHERE tenant = {tenant:String}", {"tenant": tenant}
    )
    assert found == [(2, 2)]


def test_keys_that_a_kill_lost_are_there_after_the_start(
    store: Store, tenant: str, arrive: Arrive, ledger: Ledger
) -> None:
    arrive("acme.proxy", 0, 2, TOKENS)
    mine = {"tenant": tenant}
    where = "tenant = {tenant:String}"
    store.command(f"ALTER TABLE call_keys DELETE WHERE {where}", mine, settings={"mutations_sync": 1})
    store.command(
        f"INSERT INTO settle_queue (tenant, trace_id) SELECT tenant, trace_id FROM ledger WHERE {where}", mine
    )
    ledger.recover()
    arrive("acme.client", 1, 1, TOKENS)
    assert calls(store, tenant) == 1


def test_a_run_that_is_asked_for_again_is_one_call(store: Store, tenant: str, arrive: Arrive) -> None:
    run = {"gen_ai.operation.name": "get_thread_run", "gen_ai.thread.run.id": f"run_{tenant}"} | TOKENS
    for start in (0, 5, 7200):
        arrive("azure.ai.agents", start, 0.1, run)
    assert calls(store, tenant) == 1
    duration = "SELECT sum(duration_ns) FROM ledger WHERE tenant = {tenant:String} AND kind = 'call'"
    assert int(store.scalar(duration, {"tenant": tenant})) == SECOND // 10
    arrive("azure.ai.agents", 9, 0.1, run | {"gen_ai.thread.run.id": f"run_2{tenant}"})
    assert calls(store, tenant) == 2


@pytest.mark.parametrize("first", [TOKENS, NO_TOKENS], ids=["told at once", "in the background"])
def test_an_answer_that_is_fetched_again_is_one_call(
    store: Store, tenant: str, arrive: Arrive, first: dict[str, str]
) -> None:
    answer = {"gen_ai.response.id": f"resp_{tenant}"}
    arrive("acme.client", 0, 2, answer | first)
    for start in (5, 7200):
        arrive("acme.client", start, 0.1, answer | TOKENS | {"gen_ai.operation.name": "fetch_response"})
        arrive("acme.client", start, 0.1, answer | {"gen_ai.operation.name": "fetch_response"})  # not ready yet
    assert calls(store, tenant) == 1
    tokens = "SELECT sum(input_tokens) FROM ledger WHERE tenant = {tenant:String}"
    assert int(store.scalar(tokens, {"tenant": tenant})) == 812
    arrive(
        "acme.client",
        9,
        0.1,
        {"gen_ai.response.id": f"resp_2{tenant}", "gen_ai.operation.name": "fetch_response"} | TOKENS,
    )
    assert calls(store, tenant) == 1  # of a call that nobody reports
