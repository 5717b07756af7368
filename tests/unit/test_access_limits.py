"""The gate of limits over the real ledger, with a clock of its own: days and months end, books catch up."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger_rows import SECOND, Post
from spanledger import telemetry
from spanledger.access import Principal
from spanledger.access.gate import LimitGate
from spanledger.access.limits import KIND, LimitBook, body_of
from spanledger.errors import LimitExceeded
from spanledger.pricing import Priced, Usage
from spanledger.store.client import Store
from spanledger.store.registry import Registry
from spanledger.workflows.run import CallRecord, Intent, Order, Run

EVENING = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)  # of a day and of a month
Put = Callable[..., None]


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def put(registry: Registry, tenant: str) -> Put:
    def _put(name: str = "limit", **limit: Any) -> None:
        registry.put(tenant, KIND, name, body_of({"scope": "user", **limit}))

    return _put


@pytest.fixture
def gate(registry: Registry, store: Store, clock: Clock) -> LimitGate:
    return LimitGate(LimitBook(registry), store, telemetry.off(), clock)


def call(tokens: int, usd: str) -> CallRecord:
    return CallRecord("offline", "small", Usage(input_tokens=tokens, output_tokens=0), Priced("computed", Decimal(usd)))


async def run(gate: LimitGate, tenant: str, message: str, *calls: tuple[int, str], estimate: int = 10) -> None:
    """A run of these calls (tokens, USD), each announced with an estimate of tokens and no price."""
    order = Order(Principal(tenant), user_id="ann", message_id=message, workflow="chat")
    running = Run(order)
    async with gate.admit(order, running):
        for tokens, usd in calls:
            for guard in running.guards:
                await guard(Intent("offline", "small", estimate, Decimal(usd)))
            running.records.append(call(tokens, usd))


def test_a_day_ends_at_midnight_utc(gate: LimitGate, clock: Clock, put: Put, tenant: str) -> None:
    put(tokens_per_day=100)

    async def night() -> None:
        await run(gate, tenant, "m1", (100, "0"))
        with pytest.raises(LimitExceeded) as refused:
            await run(gate, tenant, "m2", (1, "0"))
        assert refused.value.members == {"limit": "limit", "reset_at": "2026-12-01T00:00:00.000000Z"}
        assert refused.value.headers == {"Retry-After": "30"}
        clock.now = EVENING + timedelta(seconds=29)
        with pytest.raises(LimitExceeded):
            await run(gate, tenant, "m3", (1, "0"))
        clock.now = EVENING + timedelta(seconds=30)
        await run(gate, tenant, "m4", (90, "0"))

    asyncio.run(night())


def test_a_month_ends_with_its_last_day(gate: LimitGate, clock: Clock, put: Put, tenant: str) -> None:
    put(usd_per_month="1")

    async def night() -> None:
        clock.now = datetime(2026, 12, 1, tzinfo=UTC)
        await run(gate, tenant, "m1", (1, "1"))
        with pytest.raises(LimitExceeded) as refused:
            await run(gate, tenant, "m2", (1, "0.1"))
        assert refused.value.members["reset_at"] == "2027-01-01T00:00:00.000000Z"
        clock.now = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
        with pytest.raises(LimitExceeded):
            await run(gate, tenant, "m3", (1, "0.1"))
        clock.now = datetime(2027, 1, 1, tzinfo=UTC)
        await run(gate, tenant, "m4", (1, "0.1"))

    asyncio.run(night())


def test_a_rate_is_over_any_minute(gate: LimitGate, clock: Clock, put: Put, tenant: str) -> None:
    put(requests_per_minute=2)

    async def minute() -> None:
        await run(gate, tenant, "m1")
        clock.now += timedelta(seconds=40)
        await run(gate, tenant, "m2")
        with pytest.raises(LimitExceeded) as refused:
            await run(gate, tenant, "m3")
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "20"})
        clock.now += timedelta(seconds=20)
        await run(gate, tenant, "m4")

    asyncio.run(minute())


def test_a_run_is_counted_once_before_and_after_the_books_have_it(
    gate: LimitGate, clock: Clock, put: Put, post: Post, tenant: str
) -> None:
    put(tokens_per_day=1000, usd_per_day="1")
    amounts = {"user_id": "ann", "started_at": int(EVENING.timestamp()) * SECOND, "kind": "call", "llm_calls": 1}

    async def used() -> tuple[int, Decimal]:
        account = gate.account(tenant, "user", "ann")
        now = await account.look(gate._store, clock, fresh_s=0)
        found = account.used(now)
        return found.tokens_day, found.usd_day

    async def day() -> None:
        post(message_id="earlier", input_tokens=5, output_tokens=5, cost_usd=Decimal("0.01"), **amounts)
        await run(gate, tenant, "m1", (100, "0.1"), (200, "0.2"))
        gate.account(tenant, "user", "ann")._took_s = 0.0
        assert await used() == (310, Decimal("0.31"))
        post(message_id="m1", input_tokens=100, cost_usd=Decimal("0.1"), **amounts)  # half of it is settled
        gate.account(tenant, "user", "ann")._took_s = 0.0
        assert await used() == (310, Decimal("0.31"))
        post(message_id="m1", input_tokens=200, cost_usd=Decimal("0.2"), **amounts)
        for _ in range(2):
            gate.account(tenant, "user", "ann")._took_s = 0.0
            assert await used() == (310, Decimal("0.31"))
        assert gate.account(tenant, "user", "ann").holds == []

    asyncio.run(day())


def test_runs_at_the_same_time_reserve_what_they_may_take(gate: LimitGate, put: Put, tenant: str) -> None:
    put(tokens_per_day=100)

    async def crowd() -> int:
        async with AsyncExitStack() as running:
            through = 0
            for number in range(10):
                order = Order(Principal(tenant), user_id="ann", message_id=f"m{number}")
                one = Run(order)
                await running.enter_async_context(gate.admit(order, one))
                try:
                    await one.guards[0](Intent("offline", "small", 30, None))
                    through += 1
                except LimitExceeded:
                    pass
            return through

    assert asyncio.run(crowd()) == 3


def test_a_failed_call_gives_its_reservation_back(gate: LimitGate, put: Put, tenant: str) -> None:
    put(tokens_per_day=100)

    async def tries() -> None:
        order = Order(Principal(tenant), user_id="ann", message_id="m1")
        one = Run(order)
        async with gate.admit(order, one):
            for _ in range(5):
                await one.guards[0](Intent("offline", "small", 80, None))
                one.records.append(CallRecord("offline", "small", None, None))
        await run(gate, tenant, "m2", (90, "0"), estimate=90)

    asyncio.run(tries())


def test_answers_from_the_cache_cost_nothing(gate: LimitGate, put: Put, tenant: str) -> None:
    put(tokens_per_day=100)

    async def cached() -> None:
        order = Order(Principal(tenant), user_id="ann", message_id="m1")
        one = Run(order)
        async with gate.admit(order, one):
            one.records.append(CallRecord("offline", "small", Usage(90, output_tokens=90), None, cached=True))
        await run(gate, tenant, "m2", (90, "0"), estimate=90)

    asyncio.run(cached())
