"""The price book as people look at it: every entry, its rates, when it holds, and the calls that used it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from spanledger.pricing import Price, PriceBook, canonical, usd
from spanledger.pricing.price import RATE_NAMES, Step
from spanledger.stats.breakdown import breakdown
from spanledger.stats.fields import Money
from spanledger.stats.times import Window
from spanledger.stats.usage import decimal_text
from spanledger.store.client import Store

_MILLION = 10**6


@dataclass(frozen=True)
class PriceStep:
    """Rates of one tier for requests with more than `above` input tokens; USD per million tokens, and per call."""

    tier: str
    above: int
    usd_per_million: dict[str, Money]
    usd_per_call: Money


@dataclass(frozen=True)
class PriceLine:
    """An entry. `llm_calls`, `cost_usd`: of the calls of the window whose provider and model lead to it."""

    id: str
    provider: str
    model: str
    source: str
    valid_from: str | None
    valid_to: str | None
    steps: list[PriceStep]
    llm_calls: int
    cost_usd: Money


@dataclass(frozen=True)
class PriceList:
    """`count`: entries that fit, of which `items` are the first."""

    price_book: str
    items: list[PriceLine]
    count: int


def entry_id(price: Price) -> str:
    since = price.valid_from.isoformat().replace("+00:00", "Z") if price.valid_from else "always"
    return f"{price.provider}/{price.model}@{since}"


def prices(
    store: Store,
    tenant: str,
    book: PriceBook,
    text: str = "",
    provider: str = "",
    at: datetime | None = None,
    used: bool = False,
    window: Window | None = None,
    limit: int = 100,
) -> PriceList:
    """Entries whose provider or model contains `text`, in the order of their names; `at`: those that hold then; `used`:
    those that calls of the window lead to."""
    calls = _used(store, tenant, book, window or Window())
    wanted = text.lower()
    seller = canonical(provider) if provider else ""
    found = [
        price
        for price in _all(book)
        if (not wanted or wanted in f"{price.provider}/{price.model}".lower())
        and (not seller or price.provider == seller)
        and (at is None or price.holds(at))
        and (not used or entry_id(price) in calls)
    ]
    return PriceList(book.version, [_line(price, calls) for price in found[:limit]], len(found))


@lru_cache(maxsize=2)
def _all(book: PriceBook) -> tuple[Price, ...]:
    return tuple(sorted(book.prices(), key=lambda price: (price.provider, price.model, entry_id(price))))


def _used(store: Store, tenant: str, book: PriceBook, window: Window) -> dict[str, tuple[int, Decimal]]:
    """Entry → calls and cost."""
    groups = breakdown(store, tenant, window, ["provider", "model"], limit=100_000).groups
    found: dict[str, tuple[int, Decimal]] = {}
    for group in groups:
        usage = group["usage"]
        price = book.lookup(group["provider"], group["model"], datetime.now(UTC))
        if price is not None and usage.llm_calls:
            calls, cost = found.get(entry_id(price), (0, Decimal(0)))
            found[entry_id(price)] = (calls + usage.llm_calls, cost + Decimal(usage.cost_usd))
    return found


def _line(price: Price, calls: dict[str, tuple[int, Decimal]]) -> PriceLine:
    count, cost = calls.get(entry_id(price), (0, Decimal(0)))
    return PriceLine(
        id=entry_id(price),
        provider=price.provider,
        model=price.model,
        source=price.source,
        valid_from=price.valid_from.isoformat().replace("+00:00", "Z") if price.valid_from else None,
        valid_to=price.valid_to.isoformat().replace("+00:00", "Z") if price.valid_to else None,
        steps=list(_steps(price)),
        llm_calls=count,
        cost_usd=decimal_text(cost),
    )


def _steps(price: Price) -> Iterator[PriceStep]:
    for tier, steps in price.tiers.items():
        for step in steps:
            yield PriceStep(tier, step.above, _rates(step), decimal_text(usd(step.rates.call)))


def _rates(step: Step) -> dict[str, str]:
    rates = ((name, getattr(step.rates, name)) for name in RATE_NAMES)
    return {name: decimal_text(usd(rate * _MILLION)) for name, rate in rates if rate is not None}
