"""A call's cost taken apart: tokens of each kind × rate = amount. The parts add up to what `cost` says, exactly."""

from collections.abc import Iterator
from typing import NamedTuple

from spanledger.pricing.cost import Usage, input_parts, output_parts, tier_of
from spanledger.pricing.price import Price, Step

_INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
_OUTPUT = ("output", "reasoning", "audio_output", "image_output")


class Part(NamedTuple):
    """Femto-dollars: `rate` per token and `amount`, None where the price list has no rate. `kind` `call` is the price
    of a request, whatever its length."""

    kind: str
    tokens: int
    rate: int | None
    amount: int | None


def applied(price: Price, usage: Usage, service_tier: str) -> tuple[str, Step]:
    """The tier and the step of the price list that hold for a call."""
    tier = tier_of(price, service_tier) if service_tier else ""
    tier = tier if tier in price.tiers else ""
    return tier, price.step(usage.input_tokens or 0, tier)


def parts(price: Price | None, usage: Usage, service_tier: str = "") -> list[Part]:
    """The kinds of tokens that a call used. Without a price: the tokens alone."""
    step = applied(price, usage, service_tier)[1] if price else None
    found = [_part(step, kind, tokens) for kind, tokens in _tokens(usage) if tokens]
    if step is not None and step.rates.call:
        found.append(Part("call", 1, step.rates.call, step.rates.call))
    return found


def _tokens(usage: Usage) -> Iterator[tuple[str, int]]:
    """A count below zero says nothing."""
    known = Usage(*(None if count is None or count < 0 else count for count in usage))
    if known.input_tokens is not None:
        yield from zip(_INPUT, input_parts(known, known.input_tokens)[0], strict=True)
    if known.output_tokens is not None:
        yield from zip(_OUTPUT, output_parts(known, known.output_tokens)[0], strict=True)


def _part(step: Step | None, kind: str, tokens: int) -> Part:
    rate: int | None = getattr(step.rates, kind) if step else None
    return Part(kind, tokens, rate, None if rate is None else rate * tokens)
