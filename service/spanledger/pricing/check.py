"""Cross-check of the price book with the independent list of the package `genai-prices` (optional)."""

import importlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from spanledger.errors import SettingsError
from spanledger.pricing.book import PriceBook
from spanledger.pricing.price import Price, usd

# Our provider → theirs, where the names differ.
_THEIR_PROVIDER = {
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "voyage": "voyageai",
    "x_ai": "x-ai",
}
_THEIR_RATES = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "output": ("output_mtok",),
    "audio_input": ("input_audio_mtok",),
    "audio_output": ("output_audio_mtok",),
    "image_input": ("input_image_mtok",),
    "image_output": ("output_image_mtok",),
}
_THEIR_CONTEXT = {
    "": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


class Disagreement(NamedTuple):
    """One rate in USD per million tokens; `above`: for requests longer than that many input tokens."""

    provider: str
    model: str
    tier: str
    above: int
    rate: str
    ours: Decimal
    theirs: Decimal

    @property
    def share(self) -> Decimal:
        """How far apart, as a share of the higher of the two, 0 to 1."""
        return abs(self.ours - self.theirs) / max(self.ours, self.theirs)


class Comparison(NamedTuple):
    """`unknown_to_them`: models that we price and they do not list."""

    models: int
    rates: int
    unknown_to_them: int
    disagreements: list[Disagreement]


def compare(book: PriceBook, at: datetime, over: Decimal = Decimal("0.01")) -> Comparison:
    """Every rate that both lists state at `at` and that differs by more than the share `over`, the widest first."""
    their_models = {provider.id: provider.models for provider in _their_list().providers}
    compared = rates = unknown = 0
    found: list[Disagreement] = []
    for price in book.prices():
        listed = their_models.get(_THEIR_PROVIDER.get(price.provider, price.provider))
        if listed is None or book.lookup(price.provider, price.model, at) is not price:
            continue
        theirs = next((model for model in listed if model.is_match(price.model)), None)
        if theirs is None:
            unknown += 1
            continue
        pairs = list(_pairs(price, theirs, at))
        compared += 1
        rates += len(pairs)
        found += [pair for pair in pairs if pair.ours != pair.theirs and pair.share > over]
    return Comparison(compared, rates, unknown, sorted(found, key=lambda pair: (-pair.share, pair)))


def _their_list() -> Any:
    try:
        return importlib.import_module("genai_prices.data_snapshot").get_snapshot()
    except ModuleNotFoundError:
        raise SettingsError(
            "the cross-check needs the package genai-prices: pip install genai-prices, then try again"
        ) from None


def _pairs(price: Price, their_model: Any, at: datetime) -> Iterator[Disagreement]:
    for tier, context in _THEIR_CONTEXT.items():
        if tier not in price.tiers or (context and not _has_variant(their_model, context)):
            continue
        listed = their_model.get_prices(at, context)
        for step in price.tiers[tier]:
            for rate, keys in _THEIR_RATES.items():
                theirs = _at_length(listed, keys, step.above + 1)
                ours: int | None = getattr(step.rates, rate)
                if theirs is not None and ours is not None:
                    per_million = usd(ours * 10**6)
                    yield Disagreement(price.provider, price.model, tier, step.above, rate, per_million, theirs)


def _has_variant(their_model: Any, context: dict[str, str]) -> bool:
    return any(variant.when == context for variant in their_model.price_variants or ())


def _at_length(listed: Any, keys: tuple[str, ...], input_tokens: int) -> Decimal | None:
    value = next((found for key in keys if (found := getattr(listed, key)) is not None), None)
    if value is None or isinstance(value, Decimal):
        return value
    passed: list[Decimal] = [tier.price for tier in value.tiers if input_tokens > tier.start]
    base: Decimal = value.base
    return passed[-1] if passed else base
