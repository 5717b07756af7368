"""The gate of limits and budgets, checked before each run and before each of its calls.

A call is let through when what is used, what others have reserved and its own estimate fit. So runs at the same time
can exceed an amount by no more than what their one running call comes to beyond its estimate.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from spanledger.access.accounts import Account, Hold, Period
from spanledger.access.limits import Limit, LimitBook, Measure
from spanledger.errors import LimitExceeded
from spanledger.stats.consumption import Used
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry, audit

if TYPE_CHECKING:
    from spanledger.workflows.run import Intent, Order, Run

_FRESH_BEFORE_REFUSAL_S = 0.2
_MANY_ACCOUNTS = 5_000  # beyond it the idle ones are forgotten
_TOLD: tuple[tuple[str, Measure], ...] = (("requests", "requests_per_minute"), ("tokens", "tokens_per_day"))
_UNITS: dict[Measure, str] = {
    "requests_per_minute": "requests a minute",
    "tokens_per_day": "tokens a day",
    "usd_per_day": "USD a day",
    "usd_per_month": "USD a month",
}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Bound:
    """A limit and the account that it bounds here."""

    limit: Limit
    account: Account


@dataclass(frozen=True)
class Left:
    """What a limit leaves of a measure, until when."""

    allowed: int
    remaining: int
    resets_at: datetime


class LimitGate:
    """Belongs to one event loop."""

    def __init__(
        self, book: LimitBook, store: Store, telemetry: Telemetry, clock: Callable[[], datetime] = _now
    ) -> None:
        self._book = book
        self._store = store
        self._telemetry = telemetry
        self.now = clock
        self._accounts: dict[tuple[str, str, str], Account] = {}
        self._warned: dict[tuple[str, str, str, Measure], str] = {}

    @asynccontextmanager
    async def admit(self, order: "Order", run: "Run") -> AsyncIterator[None]:
        """Raises LimitExceeded, StoreError."""
        bounds = [
            Bound(limit, self.account(order.principal.tenant, limit.scope, subject))
            for limit, subject in self._book.concerning(order)
        ]
        if not bounds:
            yield
            return
        self._count_request(bounds)
        await self._check(bounds, Used())
        hold = Hold(order.message_id, run.records, self.now())
        for account in {id(bound.account): bound.account for bound in bounds}.values():
            account.holds.append(hold)

        async def before_call(intent: "Intent") -> None:
            await self._check(bounds, _estimate(intent))
            hold.reserve(intent.tokens, intent.usd or Decimal(0))

        run.guards.append(before_call)
        try:
            yield
        finally:
            hold.end()

    def account(self, tenant: str, scope: str, subject: str) -> Account:
        key = (tenant, scope, subject)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= _MANY_ACCOUNTS:
                now = self.now()
                self._accounts = {name: one for name, one in self._accounts.items() if not one.idle(now)}
            account = self._accounts[key] = Account(*key)
        return account

    def unsettled(self, tenant: str, scope: str) -> list[str]:
        """Subjects of which the books may not know yet."""
        return [
            one.subject for one in self._accounts.values() if (one.tenant, one.scope) == (tenant, scope) and one.holds
        ]

    async def used(self, account: Account) -> tuple[Used, Used, int, Period]:
        """What an account has used, what of it is not in the books yet, its requests of the last minute, and in which
        period."""
        now = await account.look(self._store, self.now)
        return account.used(now), account.unbooked(now), account.rate(self.now()), now

    def left(self, order: "Order") -> dict[str, Left]:
        """By `requests` (a minute) and `tokens` (a day): what the limits of an order leave, the least of each. By what
        is known of the accounts; looks nothing up."""
        now = self.now()
        found: dict[str, Left] = {}
        for limit, subject in self._book.concerning(order):
            account = self.account(order.principal.tenant, limit.scope, subject)
            for kind, measure in _TOLD:
                allowed = limit.amounts.get(measure)
                if allowed is not None and (known := account.period) is not None:
                    used, reset = account.rate(now), account.rate_resets(now)
                    if kind == "tokens":
                        used, reset = account.used(known).tokens_day, known.next_day
                    left = Left(int(allowed), max(0, int(allowed) - used), reset)
                    found[kind] = min(left, found.get(kind, left), key=lambda one: one.remaining)
        return found

    def _count_request(self, bounds: Sequence[Bound]) -> None:
        now = self.now()
        for bound in bounds:
            allowed = bound.limit.amounts.get("requests_per_minute")
            used = bound.account.rate(now)
            if allowed is not None and used >= allowed:
                reset = bound.account.rate_resets(now)
                self._exceeded(bound, "requests_per_minute", Decimal(used), allowed, reset)
        for account in {id(bound.account): bound.account for bound in bounds}.values():
            account.requests.append(now)

    async def _check(self, bounds: Sequence[Bound], more: Used) -> None:
        """Whether `more` fits; without it: whether anything is left. Nothing else runs between answer and return."""
        for bound in bounds:
            await bound.account.look(self._store, self.now)
        if any(True for bound in bounds for _ in _beyond(bound, self._period(bound), more)):
            for bound in bounds:  # never refuse by an old look
                await bound.account.look(self._store, self.now, _FRESH_BEFORE_REFUSAL_S)
        for bound in bounds:
            now = self._period(bound)
            for measure, used, allowed in _beyond(bound, now, more):
                self._exceeded(
                    bound, measure, used, allowed, now.next_month if measure == "usd_per_month" else now.next_day
                )

    def _period(self, bound: Bound) -> Period:
        assert bound.account.period is not None
        return bound.account.period

    def _exceeded(self, bound: Bound, measure: Measure, used: Decimal, allowed: Decimal, reset: datetime) -> None:
        """Tells it, and refuses unless the limit only warns."""
        limit, reset_at = bound.limit, reset.isoformat(timespec="microseconds").replace("+00:00", "Z")
        blocks = limit.action == "block"
        if blocks or self._first_warning(bound, measure, reset_at):
            audit.record(
                self._telemetry,
                audit.LIMIT_EXCEEDED,
                f"limit.{measure}",
                "denied" if blocks else "allowed",
                limit=limit.name,
                scope=limit.scope,
                subject=bound.account.subject,
                used=format(used, "f"),
                allowed=format(allowed, "f"),
                reset_at=reset_at,
            )
        if blocks:
            raise LimitExceeded(
                f"limit {limit.name!r} lets {limit.scope} {bound.account.subject!r} use {allowed:f} {_UNITS[measure]};"
                f" {used:f} are used or reserved; it resets at {reset_at}",
                limit=limit.name,
                status=429 if measure == "requests_per_minute" else 402,
                retry_after_s=max(1, ceil((reset - self.now()).total_seconds())),
                reset_at=reset_at,
            )

    def _first_warning(self, bound: Bound, measure: Measure, reset_at: str) -> bool:
        key = (bound.limit.tenant, bound.limit.name, bound.account.subject, measure)
        first = self._warned.get(key) != reset_at
        self._warned[key] = reset_at
        return first


def _estimate(intent: "Intent") -> Used:
    usd = intent.usd or Decimal(0)  # without a price it counts as tokens only
    return Used(tokens_day=intent.tokens, usd_day=usd, usd_month=usd)


def _beyond(bound: Bound, now: Period, more: Used) -> list[tuple[Measure, Decimal, Decimal]]:
    """The measures into which `more` does not fit: (measure, used, allowed)."""
    used, found = bound.account.used(now), []
    measures: tuple[tuple[Measure, Decimal, Decimal], ...] = (
        ("tokens_per_day", Decimal(used.tokens_day), Decimal(more.tokens_day)),
        ("usd_per_day", used.usd_day, more.usd_day),
        ("usd_per_month", used.usd_month, more.usd_month),
    )
    for measure, amount, addition in measures:
        allowed = bound.limit.amounts.get(measure)
        if allowed is not None and (amount + addition > allowed or amount >= allowed):
            found.append((measure, amount, allowed))
    return found
