"""Whatever is falsified by hand, audit names exactly it and repair restores it."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger_rows import land_calls, write_rows
from spanledger.ledger.batches import FIRST, forget, new_run, take
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.settler import Settler, settle
from spanledger.settings import Settings
from spanledger.store.client import Store

TOTALS = (
    "SELECT sum(llm_calls), sum(input_tokens), sum(cost_usd), sum(messages) FROM {} WHERE tenant = {{tenant:String}}"
)
TABLES = ("ledger", "message_usage", "conversation_usage", "user_usage_1h", "usage_1m", "user_usage_1d", "usage_1h")

Corrupt = Callable[[Store, str], None]


@pytest.fixture
def ledger(store: Store, data_dir: Path) -> Ledger:
    return Ledger(store, Settings(data_dir=data_dir))


def totals(store: Store, tenant: str) -> set[tuple[Any, ...]]:
    return {store.query(TOTALS.format(table), {"tenant": tenant})[0] for table in TABLES}


def change(store: Store, statement: str, tenant: str) -> None:
    store.command(statement, {"tenant": tenant}, settings={"mutations_sync": 1})


def _ledger_entry(store: Store, tenant: str) -> None:
    change(
        store,
        f"DELETE FROM ledger WHERE tenant = {{tenant:String}} AND trace_id = '{tenant}-1' AND kind = 'call'",
        tenant,
    )


def _rollup_row(store: Store, tenant: str) -> None:
    write_rows(
        store, "conversation_usage", [{"tenant": tenant, "conversation_id": "c", "user_id": "ada", "llm_calls": 5}]
    )


def _span(store: Store, tenant: str) -> None:
    statement = "ALTER TABLE genai_spans UPDATE input_tokens = 999999 WHERE tenant = {tenant:String} AND span_id = '1'"
    change(store, statement + f" AND trace_id = '{tenant}-2'", tenant)


@pytest.mark.parametrize(
    ("corrupt", "levels"),
    [
        (_ledger_entry, {"ledger"}),
        (_rollup_row, {"conversation_usage"}),
        (_span, {"genai_spans"}),
    ],
    ids=["ledger entry", "rollup row", "normalised span"],
)
def test_audit_names_what_was_falsified_and_repair_restores_it(
    store: Store, ledger: Ledger, tenant: str, corrupt: Corrupt, levels: set[str]
) -> None:
    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    land_calls(store, tenant)
    assert [d for d in ledger.audit().differences if d.key["tenant"] == tenant] == []
    before = totals(store, tenant)
    assert len(before) == 1, "every level says the same"

    corrupt(store, tenant)

    found = [d for d in ledger.audit().differences if d.key["tenant"] == tenant]
    assert {d.level for d in found} == levels
    assert len(found) == len(levels), found
    if levels == {"genai_spans"}:
        assert found[0].key == {"tenant": tenant, "trace_id": f"{tenant}-2", "span_id": "1"}
        assert found[0].amounts["input_tokens"] == {"expected": 105, "found": 999999}
    ledger.audit(repair=True)
    assert [d for d in ledger.audit().differences if d.key["tenant"] == tenant] == []
    assert totals(store, tenant) == before


THINGS = {"conversation": "c", "message": "{tenant}-1", "trace": "{tenant}-1", "user": "ada"}


@pytest.mark.parametrize("kind", THINGS)
def test_one_thing_is_audited_alone(store: Store, ledger: Ledger, tenant: str, kind: str) -> None:
    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    land_calls(store, tenant)
    ledger.settler.settle_now()
    value = THINGS[kind].format(tenant=tenant)
    sound = ledger.audit_thing(tenant, kind, value)
    assert sound.balanced
    assert sound.checked["traces"] == (1 if kind in ("message", "trace") else 3)
    assert sound.checked["spans"] == 2 * sound.checked["traces"]

    _ledger_entry(store, tenant)

    assert {one.level for one in ledger.audit_thing(tenant, kind, value).differences} == {"ledger"}
    assert ledger.audit_thing(tenant, "trace", f"{tenant}-0").balanced
    assert ledger.audit_thing(f"{tenant}-another", kind, value).checked["spans"] == 0
    ledger.audit(repair=True)


def test_an_audit_of_one_tenant_looks_at_its_rows_alone(store: Store, ledger: Ledger, tenant: str) -> None:
    one, other = (f"{tenant}-{uuid.uuid4().hex[:6]}" for _ in range(2))
    land_calls(store, one)
    land_calls(store, other, traces=5)
    ledger.settler.settle_now()
    for corrupt in (_ledger_entry, _rollup_row, _span):
        corrupt(store, other)
    sound = ledger.audit(tenant=one)
    assert sound.balanced
    assert (sound.checked["spans"], sound.checked["traces"]) == (6, 3)
    levels = {found.level for found in ledger.audit(tenant=other).differences}
    assert {"ledger", "conversation_usage", "genai_spans"} <= levels
    ledger.audit(repair=True)


def test_two_settlers_at_once_do_no_harm(store: Store, ledger: Ledger, tenant: str) -> None:
    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    for _ in range(5):
        land_calls(store, tenant, traces=200)
        settlers = [Settler(store, lambda: ledger.prices) for _ in range(2)]
        threads = [threading.Thread(target=settler.settle_now) for settler in settlers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ledger.settler.settle_now()
    (found,) = totals(store, tenant)
    assert (found[0], found[3]) == (200, 400), "the same spans five times over count once"
    assert [d for d in ledger.audit().differences if d.key["tenant"] == tenant] == []


def test_traces_that_keep_coming_hold_up_no_other(store: Store, ledger: Ledger, tenant: str) -> None:
    """With room for one trace a batch, three get their turn although the first one is touched again each time."""
    ledger.settler.settle_now()
    land_calls(store, tenant)
    after, settled = FIRST, []
    for _ in range(3):
        batch = take(store, limit=1, after=after)
        assert batch is not None
        settle(store, ledger.prices, batch)
        after = batch.last
        settled.append(after[1])
        land_calls(store, tenant, traces=1)
    assert settled == [f"{tenant}-{number}" for number in range(3)]
    again = take(store, limit=1, after=after)
    assert again is not None
    forget(store, again.run_id)
    assert again.last[1] == f"{tenant}-0", "behind the last one it begins again"
    ledger.settler.settle_now()


def test_what_comes_after_two_settlers_took_the_same_trace_is_read(store: Store, ledger: Ledger, tenant: str) -> None:
    """As many spans as both of them settled, so that counts would say that nothing is left."""
    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    land_calls(store, tenant)
    first = take(store)
    assert first is not None
    hidden = store.query(
        "SELECT run_id, round, tenant, trace_id FROM settle_work WHERE run_id = {run:String}", {"run": first.run_id}
    )
    forget(store, first.run_id)  # as if the second had looked before the first wrote down what it works on
    second = take(store)
    store.insert("settle_work", ["run_id", "round", "tenant", "trace_id"], hidden)
    assert second is not None
    for batch in (first, second):
        settle(store, ledger.prices, batch)
    land_calls(store, tenant)  # the same spans again
    ledger.settler.settle_now()
    assert {found[0] for found in totals(store, tenant)} == {3}
    assert [d for d in ledger.audit().differences if d.key["tenant"] == tenant] == []


@pytest.mark.parametrize(
    ("started_s_ago", "settled"),
    [(1, 0), (3600, 3), (-3600, 3)],
    ids=["at work", "died", "died before the clock jumped back"],
)
def test_traces_in_the_hands_of_another_settler_wait_until_it_is_given_up(
    store: Store, ledger: Ledger, tenant: str, started_s_ago: int, settled: int
) -> None:
    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    run_id = f"{int(time.time()) - started_s_ago}-other"
    work = [[run_id, 0, tenant, f"{tenant}-{number}"] for number in range(3)]
    store.insert("settle_work", ["run_id", "round", "tenant", "trace_id"], work)
    land_calls(store, tenant)
    ledger.settler.settle_now(within_s=2.0)
    assert totals(store, tenant).pop()[0] == settled
    store.command("ALTER TABLE settle_work DELETE WHERE run_id = {run:String}", {"run": run_id})
    ledger.settler.settle_now()
    assert totals(store, tenant).pop()[0] == 3


def test_who_settles_now_waits_for_what_another_settler_has_in_hand(store: Store, ledger: Ledger, tenant: str) -> None:
    """Both may have posted the same; it is put right after the other's end, and only then are the books complete."""
    ledger.settler.settle_now()
    land_calls(store, tenant)
    first = take(store)
    assert first is not None
    second = replace(first, run_id=new_run())  # as if it had looked before the first wrote down what it works on
    work = [[second.run_id, 0, tenant, trace_id] for _, trace_id, _ in second.touched]
    store.insert("settle_work", ["run_id", "round", "tenant", "trace_id"], work)
    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(ledger.settler.settle_now)
        settle(store, ledger.prices, second)
        with pytest.raises(TimeoutError):
            settling.result(0.2)
        settle(store, ledger.prices, first)
        settling.result(60)
    assert {found[0] for found in totals(store, tenant)} == {3}


def test_lag_is_that_of_the_spans_that_came_not_of_the_traces_they_touch(
    store: Store, ledger: Ledger, tenant: str
) -> None:
    def tell(number: int, seconds_ago: int) -> int:
        store.command(
            """
            INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, Duration,
                SpanAttributes, Tenant, ReceivedAt)
            SELECT now64(9), concat({tenant:String}, '-', {number:String}), 'a', 'call', 'shop', {number:String}, 1000,
                map('gen_ai.operation.name', 'chat', 'gen_ai.request.model', 'gpt-4o-mini',
                    'gen_ai.response.id', concat('chatcmpl-', {tenant:String})), {tenant:String},
                now64(3) - toIntervalSecond({ago:UInt32})
            """,
            {"tenant": tenant, "number": str(number), "ago": seconds_ago},
        )
        settler = Settler(store, lambda: ledger.prices)
        settler.settle_now()
        worst: int = settler.health()["worst_lag_ms"]
        return worst

    tenant = f"{tenant}-{uuid.uuid4().hex[:6]}"
    assert tell(1, seconds_ago=86_400) >= 86_400_000
    assert 30_000 <= tell(2, seconds_ago=30) < 80_000_000, "the copy it joins came a day ago"
    assert totals(store, tenant).pop()[0] == 1
