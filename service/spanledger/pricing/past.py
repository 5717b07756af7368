"""Makes the second bundled list: prices that the first one lacks, of OpenRouter, Groq and retired models.

    python -m spanledger.pricing.past 2026-11-21        # writes data/past-2026-11-21.json

Source: the price data inside the installed `genai-prices` package. A model of the first list is left out, so
that list alone decides about it. Prices by time of day, batch variants and fees for searches are left out.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spanledger.pricing.book import OFFLINE_FILE, book_of_files, bundled_file
from spanledger.pricing.importer import write

_PROVIDERS = {
    "openrouter": ("openrouter",),
    "groq": ("groq",),
    "anthropic": ("anthropic",),
    "openai": ("openai",),
    "google": ("gcp.gemini", "gcp.vertex_ai"),
    "mistral": ("mistral_ai",),
    "cohere": ("cohere",),
    "deepseek": ("deepseek",),
    "x-ai": ("x_ai",),
    "moonshotai": ("moonshot",),
    "voyageai": ("voyage",),
}
# Names that the source covers by how they begin.
_MORE_NAMES = {"claude-2": ("claude-2.0", "claude-2.1"), "claude-v1": ("claude-1",)}
_RATES = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
}

_FINEST = Decimal("1e-9")  # USD per million tokens


def entries() -> Iterator[dict[str, Any]]:
    """The models that the first list lacks, each under every name that stands for it exactly."""
    known = book_of_files([OFFLINE_FILE, bundled_file()])
    now = datetime.now(UTC)
    for source in import_module("genai_prices.data").providers:
        for provider in _PROVIDERS.get(source.id, ()):
            for model in source.models:
                for name in dict.fromkeys((model.id, *_names(model.match), *_MORE_NAMES.get(model.id, ()))):
                    if known.lookup(provider, name, now) is None:
                        yield from _priced(provider, name.lower(), model.prices)


def _names(match: Any) -> Iterator[str]:
    """Names that stand for exactly this model; of those that only begin alike, the beginning."""
    if name := getattr(match, "equals", None) or getattr(match, "starts_with", None):
        yield name
    for clause in getattr(match, "or_", None) or ():
        yield from _names(clause)


def _priced(provider: str, name: str, prices: Any) -> Iterator[dict[str, Any]]:
    """One entry a period; later periods begin where earlier ones end."""
    if not isinstance(prices, list):
        prices = [prices]
    periods = [(getattr(one, "constraint", None), getattr(one, "prices", one)) for one in prices]
    dated = [
        (getattr(limit, "start_date", None), price) for limit, price in periods if limit is None or _is_start(limit)
    ]
    starts = sorted(dated, key=lambda period: period[0] or date.min)
    for number, (start, price) in enumerate(starts):
        entry = _entry(provider, name, price)
        if entry is None:
            continue
        if start:
            entry["valid_from"] = start.isoformat()
        following = starts[number + 1][0] if number + 1 < len(starts) else None
        if following:
            entry["valid_to"] = following.isoformat()
        yield entry


def _is_start(limit: Any) -> bool:
    return getattr(limit, "start_date", None) is not None


def _entry(provider: str, name: str, price: Any) -> dict[str, Any] | None:
    flat: dict[str, Decimal] = {}
    above: dict[int, dict[str, Decimal]] = {}
    for field, rate in _RATES.items():
        value = getattr(price, field, None)
        if isinstance(value, Decimal):
            flat[rate] = _exact(value)
        elif value is not None:
            flat[rate] = _exact(value.base)
            for tier in value.tiers:
                above.setdefault(tier.start, {})[rate] = _exact(tier.price)
    if "input" not in flat or (not any(flat.values()) and not name.endswith(":free")):
        return None  # a list price of nothing is only believed of OpenRouter's free endpoints
    entry: dict[str, Any] = {"provider": provider, "model": name, "usd_per_million_tokens": flat}
    if above:
        entry["above"] = [{"input_tokens": start, "usd_per_million_tokens": rates} for start, rates in above.items()]
    return entry


def _exact(amount: Decimal) -> Decimal:
    """USD per million tokens in whole steps of the books' money; the source derives some by division."""
    return amount.quantize(_FINEST).normalize() if amount != 0 else Decimal(0)


def main(day: str) -> None:
    date.fromisoformat(day)
    found = {(e["provider"], e["model"], e.get("valid_from", "")): e for e in entries()}
    target = Path(__file__).parent / "data" / f"past-{day}.json"
    source = f"genai-prices {version('genai-prices')}"
    about = f"USD list prices that prices-{day}.json lacks, from {source}; made by spanledger.pricing.past"
    write(target, about, [found[key] for key in sorted(found)])
    print(f"{target.name}: {len(found)} entries, {target.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
