"""What one call cost: usage times price, and how sure that is.

Nothing unknown becomes zero: a count or a rate that is missing and would matter makes the cost None.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from spanledger.pricing.price import Price, Rates, usd

CostState = Literal["billed", "computed", "estimated", "unpriced"]

# Service tiers as providers spell them → the tier of the price list; what is not here is looked up as it is.
_TIERS = {
    "auto": "",
    "default": "",
    "on_demand": "",
    "scale": "",
    "standard": "",
    "standard_only": "",
    "batches": "batch",
    "fast": "priority",
}


class Usage(NamedTuple):
    """Tokens of one call; None = unknown. `input_tokens` includes cache reads and writes, audio and images;
    `output_tokens` includes reasoning, audio and images; `cache_write_input_tokens` includes the 1-hour writes."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_1h_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None

    @property
    def known(self) -> bool:
        """Whether any usage is known."""
        return self.input_tokens is not None or self.output_tokens is not None


class Cost(NamedTuple):
    """`femto_usd`: 1e-15 USD, None: unknown. `flags`: what was odd or missing, empty if nothing was.

    flags: `negative:<field>` (taken as unknown) · `unknown:<field>` · `no_rate:<kind>` · `no_tier:<tier>`
    (ordinary price used) · `details_exceed:input_tokens|output_tokens` (parts cut to fit the whole)
    """

    femto_usd: int | None
    flags: tuple[str, ...] = ()

    @property
    def usd(self) -> Decimal | None:
        return None if self.femto_usd is None else usd(self.femto_usd)


class Priced(NamedTuple):
    """The cost that goes into the books. `cost_usd` is None exactly when the state is `unpriced`."""

    state: CostState
    cost_usd: Decimal | None
    flags: tuple[str, ...] = ()


def tier_of(price: Price, service_tier: str) -> str:
    """The price list's name of a provider's service tier; `""` is the ordinary one. A tier that the price list
    names for this model keeps its name."""
    name = service_tier.strip().lower()
    return name if name in price.tiers else _TIERS.get(name, name)


def cost(price: Price, usage: Usage, service_tier: str = "") -> Cost:
    """Exact cost of one call. Details that do not fit into their whole are cut, never subtracted below zero."""
    tier = tier_of(price, service_tier) if service_tier else ""
    rates = price.rates(usage[0] or 0, tier)
    if min(filter(None, usage), default=0) < 0:
        return _odd(rates, usage, _tier_flags(price, tier))
    return _sum(rates, usage, _tier_flags(price, tier) if tier else ())


def cost_without_usage(rates: Rates) -> Cost:
    """Cost of a call of which nothing is known."""
    return _sum(rates, Usage(), ())


def settle(
    price: Price | None,
    usage: Usage,
    *,
    service_tier: str = "",
    usage_estimated: bool = False,
    claim_usd: Decimal | None = None,
    claim_source: str = "",
) -> Priced:
    """Which cost the books show, and its state.

    `billed`: the provider's own amount (`claim_source` `provider`), which wins. `computed`: usage × price book.
    `estimated`: the same, with usage that was counted by us or the sender. `unpriced`: no price, or usage unknown.
    A claim computed on the client side never decides: the caller keeps it beside the result.
    """
    if claim_source == "provider" and claim_usd is not None and claim_usd.is_finite() and claim_usd >= 0:
        return Priced("billed", claim_usd)
    if price is None:
        return Priced("unpriced", None, ("no_price",))
    found = cost(price, usage, service_tier)
    if found.femto_usd is None:
        return Priced("unpriced", None, found.flags)
    return Priced("estimated" if usage_estimated else "computed", usd(found.femto_usd), found.flags)


def _tier_flags(price: Price, tier: str) -> tuple[str, ...]:
    return () if tier in price.tiers else (f"no_tier:{tier}",)


def _odd(rates: Rates, usage: Usage, flags: tuple[str, ...]) -> Cost:
    """A negative count is unknown."""
    bad = tuple(
        f"negative:{name}" for name, count in zip(Usage._fields, usage, strict=True) if count is not None and count < 0
    )
    cleaned = Usage(*(None if count is None or count < 0 else count for count in usage))
    return _sum(rates, cleaned, flags + bad)


def _sum(rates: Rates, usage: Usage, flags: tuple[str, ...]) -> Cost:
    (tokens_in, read, write, write_1h, tokens_out, reasoning, audio_in, audio_out, image_in, image_out) = usage
    if read or write or write_1h or audio_in or image_in:
        input_cost, problem = _input(rates, usage)
        flags += problem
    else:
        input_cost = tokens_in * rates.input if tokens_in is not None and rates.input is not None else None
    if reasoning or audio_out or image_out:
        output_cost, problem = _output(rates, usage)
        flags += problem
    else:
        output_cost = tokens_out * rates.output if tokens_out is not None and rates.output is not None else None
    if input_cost is None or output_cost is None:
        return _partly(rates, usage, input_cost, output_cost, flags)
    return Cost(input_cost + output_cost + rates.call, flags)


def _input(rates: Rates, usage: Usage) -> tuple[int | None, tuple[str, ...]]:
    if usage.input_tokens is None:
        return None, ()
    parts, flags = input_parts(usage, usage.input_tokens)
    return _dot(parts, (*rates[:4], rates.audio_input, rates.image_input)), flags


def input_parts(usage: Usage, whole: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Tokens of `whole` that are billed as input, cache_read, cache_write, cache_write_1h, audio and image."""
    left = whole
    read = min(usage.cache_read_input_tokens or 0, left)
    left -= read
    write = min(_writes(usage), left)
    left -= write
    write_1h = min(usage.cache_write_1h_input_tokens or 0, write)
    audio = min(usage.audio_input_tokens or 0, left)
    left -= audio
    image = min(usage.image_input_tokens or 0, left)
    parts = (left - image, read, write - write_1h, write_1h, audio, image)
    reported = (
        usage.cache_read_input_tokens,
        _writes(usage),
        usage.cache_write_1h_input_tokens,
        usage.audio_input_tokens,
        usage.image_input_tokens,
    )
    flags = () if (read, write, write_1h, audio, image) == _zeroed(reported) else ("details_exceed:input_tokens",)
    return parts, flags


def _output(rates: Rates, usage: Usage) -> tuple[int | None, tuple[str, ...]]:
    if usage.output_tokens is None:
        return None, ()
    parts, flags = output_parts(usage, usage.output_tokens)
    return _dot(parts, (rates.output, rates.reasoning, rates.audio_output, rates.image_output)), flags


def output_parts(usage: Usage, whole: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Tokens of `whole` that are billed as output, reasoning, audio and image."""
    left = whole
    reasoning = min(usage.reasoning_output_tokens or 0, left)
    left -= reasoning
    audio = min(usage.audio_output_tokens or 0, left)
    left -= audio
    image = min(usage.image_output_tokens or 0, left)
    reported = (usage.reasoning_output_tokens, usage.audio_output_tokens, usage.image_output_tokens)
    flags = () if (reasoning, audio, image) == _zeroed(reported) else ("details_exceed:output_tokens",)
    return (left - image, reasoning, audio, image), flags


def _writes(usage: Usage) -> int:
    """All cache writes; a sender that only reports 1-hour writes had no others."""
    if usage.cache_write_input_tokens is None:
        return usage.cache_write_1h_input_tokens or 0
    return usage.cache_write_input_tokens


def _zeroed(counts: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(count or 0 for count in counts)


def _dot(tokens: tuple[int, ...], rates: tuple[int | None, ...]) -> int | None:
    total = 0
    for count, rate in zip(tokens, rates, strict=True):
        if count:
            if rate is None:
                return None
            total += count * rate
    return total


def _partly(
    rates: Rates, usage: Usage, input_cost: int | None, output_cost: int | None, flags: tuple[str, ...]
) -> Cost:
    """A side that could not be priced: it costs nothing for certain, or the whole cost is unknown."""
    total = rates.call
    for side, count, known, rate in (
        ("input", usage.input_tokens, input_cost, rates.input),
        ("output", usage.output_tokens, output_cost, rates.output),
    ):
        if known is not None:
            total += known
        elif count == 0 or (count is None and rate == 0):
            continue
        else:
            reason = f"unknown:{side}_tokens" if count is None else f"no_rate:{side}"
            return Cost(None, (*flags, reason))
    return Cost(total, flags)
