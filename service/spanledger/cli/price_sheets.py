"""`spanledger prices check` and `spanledger prices show`: what they print and with which exit code."""

from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import TextIO

from spanledger.pricing.book import PriceBook
from spanledger.pricing.check import compare
from spanledger.pricing.price import RATE_NAMES, Price, usd
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
    sellers = [provider] if provider else sorted({price.provider for price in book.prices()})
    shown = 0
    for seller in sellers:
        price = book.lookup(seller, model, at)
        if price is not None and (provider or price.provider == seller):
            out.write(_sheet(price))
            shown += 1
    if not shown:
        where = f" at provider {provider}" if provider else ""
        out.write(f"no price for {model!r}{where} in price book {book.version}: its calls are unpriced\n")
        if similar := _similar(book, model, provider):
            out.write(f"similar names: {', '.join(similar)}\n")
    return 0 if shown else 1


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
            rates = [(name, getattr(step.rates, name)) for name in RATE_NAMES]
            told = ", ".join(f"{name} {_short(usd(rate * 10**6))}" for name, rate in rates if rate is not None)
            call = f", per call {_short(usd(step.rates.call))}" if step.rates.call else ""
            lines.append(f"  {tier or 'standard'}{length}: {told}{call}")
    return "\n".join(lines) + "\n"


def _short(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
