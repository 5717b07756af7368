"""How much of a limit is used: the books, and what runs or has run here and is not in the books yet.

A run is counted from its admission on: by its calls' estimates while they run, by what they came to afterwards, until
the ledger has it. Each look at the ledger takes these messages apart, so that none is counted twice or not at all.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from spanledger.stats.consumption import Used, consumption
from spanledger.store.client import Store

if TYPE_CHECKING:
    from spanledger.workflows.run import CallRecord

MINUTE = timedelta(minutes=1)
_FRESH_S = 1.0  # a look at the books is good for it, or for 20 times what it took
_FRESH_TIMES = 20
_GIVE_UP_S = 900.0  # what has not come into the books by then will not: they are the truth


@dataclass(frozen=True, slots=True)
class Period:
    """The UTC day and month of a moment."""

    day: datetime
    month: datetime

    @property
    def next_day(self) -> datetime:
        return self.day + timedelta(days=1)

    @property
    def next_month(self) -> datetime:
        return (self.month + timedelta(days=32)).replace(day=1)


def period(now: datetime) -> Period:
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(day, day.replace(day=1))


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a run came to so far. `calls`: those that the books will know, failed ones too."""

    tokens: int = 0
    usd: Decimal = Decimal(0)
    calls: int = 0


def amounts_of(records: Iterable["CallRecord"]) -> Amounts:
    """Answers from the cache count for nothing."""
    calls = [record for record in records if not record.cached]
    tokens = sum(
        (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)
        for call in calls
        if call.usage is not None and call.priced is not None
    )
    usd = sum((call.priced.cost_usd or Decimal(0) for call in calls if call.priced is not None), Decimal(0))
    return Amounts(tokens, usd, len(calls))


class Hold:
    """A run's part of the accounts that it concerns. A reservation is for one call: when that has ended it is void."""

    def __init__(self, message_id: str, records: Sequence["CallRecord"], started: datetime) -> None:
        self.message_id = message_id
        self._records = records
        self._started = started
        self._reserved = Amounts()
        self._reserved_at = -1
        self._final: Amounts | None = None
        self.ended_s: float | None = None  # monotonic

    def reserve(self, tokens: int, usd: Decimal) -> None:
        self._reserved, self._reserved_at = Amounts(tokens, usd), len(self._records)

    def end(self) -> None:
        """The run is over: from now on it counts with what it came to."""
        self._final = amounts_of(self._records)
        self._records = ()
        self.ended_s = time.monotonic()

    @property
    def calls(self) -> int:
        return self._final.calls if self._final is not None else 0

    def used(self, now: Period) -> Used:
        amounts = self._final
        if amounts is None:
            done = amounts_of(self._records)
            waiting = self._reserved if self._reserved_at == len(self._records) else Amounts()
            amounts = Amounts(done.tokens + waiting.tokens, done.usd + waiting.usd)
        today, this_month = self._started >= now.day, self._started >= now.month
        return Used(
            tokens_day=amounts.tokens if today else 0,
            usd_day=amounts.usd if today else Decimal(0),
            usd_month=amounts.usd if this_month else Decimal(0),
        )


@dataclass(eq=False)
class Account:
    """Of one tenant, user, key or workflow. Belongs to the event loop."""

    tenant: str
    scope: str
    subject: str
    requests: deque[datetime] = field(default_factory=deque)
    holds: list[Hold] = field(default_factory=list)
    _booked: Used = field(default_factory=Used)
    period: Period | None = None  # of the last look
    _read_s: float = 0.0
    _took_s: float = 0.0
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def used(self, now: Period) -> Used:
        """Call `look` before."""
        return sum((hold.used(now) for hold in self.holds), self._booked)

    def unbooked(self, now: Period) -> Used:
        """What of `used` runs, is reserved, or has ended and is not in the books yet."""
        return sum((hold.used(now) for hold in self.holds), Used())

    def rate(self, now: datetime) -> int:
        """Requests of the last minute."""
        while self.requests and self.requests[0] <= now - MINUTE:
            self.requests.popleft()
        return len(self.requests)

    def rate_resets(self, now: datetime) -> datetime:
        """When the oldest request of the last minute counts no more, or would if one came now."""
        self.rate(now)
        return (self.requests[0] if self.requests else now) + MINUTE

    async def look(self, store: Store, clock: Callable[[], datetime], fresh_s: float = _FRESH_S) -> Period:
        """Makes sure that what the books say is known and not older than `fresh_s`. Raises StoreError."""
        now = period(clock())
        if self._fresh(now, fresh_s):
            return now
        async with self._reading:
            if not self._fresh(now, fresh_s):
                await self._read(store, now)
        return now

    def idle(self, now: datetime) -> bool:
        """Whether it can be forgotten: the books know the rest."""
        late = time.monotonic() - _GIVE_UP_S
        return not self.rate(now) and all(hold.ended_s is not None and hold.ended_s < late for hold in self.holds)

    def _fresh(self, now: Period, fresh_s: float) -> bool:
        good_for = max(fresh_s, _FRESH_TIMES * self._took_s)
        return self.period == now and time.monotonic() - self._read_s < good_for

    async def _read(self, store: Store, now: Period) -> None:
        started = time.monotonic()
        apart = {hold.message_id for hold in self.holds}
        found = await asyncio.to_thread(
            consumption, store, self.tenant, self.scope, self.subject, now.day, now.month, sorted(apart)
        )
        booked = found.pop("", Used())
        for message_id in apart:
            used = found.get(message_id, Used())
            holds = [hold for hold in self.holds if hold.message_id == message_id]
            if _over(holds, used, now):
                self.holds = [hold for hold in self.holds if hold.message_id != message_id]
                booked += used
            else:
                booked += used.beyond(sum((hold.used(now) for hold in holds), Used()))
        self._booked, self.period = booked, now
        self._read_s = time.monotonic()
        self._took_s = self._read_s - started


def _over(holds: Sequence[Hold], booked: Used, now: Period) -> bool:
    """Whether the books have all of a message's runs, or will never have it. Books that say less than the runs came to
    here do not have it yet, whatever a sender of telemetry says of the same message."""
    ends = [hold.ended_s for hold in holds]
    last = max((end for end in ends if end is not None), default=0.0)
    if None in ends:
        return False
    if time.monotonic() - last > _GIVE_UP_S:
        return True
    ours = sum((hold.used(now) for hold in holds), Used())
    return booked.calls >= sum(hold.calls for hold in holds) and ours.beyond(booked) == Used()
