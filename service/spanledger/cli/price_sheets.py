"""`spanledger prices check` and `spanledger prices show`: what they print and with which exit code."""

from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, TextIO

from spanledger.pricing.book import PriceBook
from spanledger.pricing.check import compare
from spanledger.pricing.price import RATE_NAMES, Price, Step, usd
from spanledger.pricing.providers import canonical


def prices_check(book: PriceBook, at: datetime, out: TextIO, over: Decimal = Decimal("0.01")) -> int:
    """Lists rates that differ from genai-prices by more than the share `over`. 0 if none, 1 if some."""
    found = compare(book, at, over)
    for one in found.disagreements:
        where = f"{one.tier or 'standard'}{f' >{one.above}' if one.above else ''}"
        out.write(
            f"{one.provider:16} {one.model:48} {where:16} {one.rate:14} "
            f"{_short(one.ours):>12} {_short(one.theirs):>12} {one.share:>7.1%}\n"
        )
    models = len({(one.provider, one.model) for one in found.disagreements})
    out.write(
        f"price book {book.version}: {found.rates} rates of {found.models} models compared with genai-prices "
        f"(USD per million tokens: ours, theirs), {len(found.disagreements)} differ by more than {over:.0%} "
        f"in {models} models; {found.unknown_to_them} models are not in genai-prices\n"
    )
    return 1 if found.disagreements else 0


def prices_show(book: PriceBook, model: str, at: datetime, out: TextIO, provider: str = "") -> int:
    """Prints what `model` costs, at `provider` or everywhere. 0 if it has a price at `at`, 1 if not."""
    found = _found(book, model, at, provider)
    for price in found:
        out.write(_sheet(price))
    if not found:
        where = f" at provider {provider}" if provider else ""
        out.write(
            f"no price for {model!r}{where} in price book {book.version}: its calls are unpriced; "
            "docs/prices.md shows how to add one, `spanledger reprice --price-book FILE` applies it\n"
        )
        if similar := _similar(book, model, provider):
            out.write(f"similar names: {', '.join(similar)}\n")
    return 0 if found else 1


def prices_json(book: PriceBook, model: str, at: datetime, provider: str = "") -> list[dict[str, Any]]:
    """What `prices_show` prints, as data: rates in USD per million tokens."""
    return [
        {
            "provider": price.provider,
            "model": price.model,
            "valid_from": price.valid_from,
            "valid_to": price.valid_to,
            "source": price.source,
            "price_book": book.version,
            "steps": [
                {"tier": tier or "standard", "above": step.above, "per_call": step.rates.call, "rates": _rates(step)}
                for tier, steps in price.tiers.items()
                for step in steps
            ],
        }
        for price in _found(book, model, at, provider)
    ]


def _found(book: PriceBook, model: str, at: datetime, provider: str) -> list[Price]:
    sellers = [provider] if provider else sorted({price.provider for price in book.prices()})
    prices = [book.lookup(seller, model, at) for seller in sellers]
    return [one for seller, one in zip(sellers, prices, strict=True) if one and (provider or one.provider == seller)]


def _rates(step: Step) -> dict[str, str]:
    rates = [(name, getattr(step.rates, name)) for name in RATE_NAMES]
    return {name: _short(usd(rate * 10**6)) for name, rate in rates if rate is not None}


def _similar(book: PriceBook, model: str, provider: str) -> list[str]:
    """At most five models whose names contain the given one, or are spelled nearly so."""
    name = model.lower()
    known = sorted({price.model for price in book.prices() if not provider or price.provider == canonical(provider)})
    containing = [one for one in known if name in one.lower()]
    return sorted(containing, key=len)[:5] or get_close_matches(name, known, n=5)


def _sheet(price: Price) -> str:
    since = f"from {price.valid_from:%Y-%m-%d}" if price.valid_from else "from the beginning"
    until = f" until {price.valid_to:%Y-%m-%d}" if price.valid_to else ""
    lines = [f"{price.provider} {price.model} · {since}{until} · {price.source} · USD per million tokens"]
    for tier, steps in price.tiers.items():
        for step in steps:
            length = f" above {step.above} input tokens" if step.above else ""
            rates = ", ".join(f"{name} {rate}" for name, rate in _rates(step).items())
            call = f", per call {_short(usd(step.rates.call))}" if step.rates.call else ""
            lines.append(f"  {tier or 'standard'}{length}: {rates}{call}")
    return "\n".join(lines) + "\n"


def _short(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
