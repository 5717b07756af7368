"""One price: whole-number rates per token, ready to multiply.

Money here is an int count of femto-dollars (1e-15 USD), the finest step of the ledger's `Decimal(38, 15)`. Every rate
is a whole number of them, so a cost is a sum of integer products and exact; nothing is ever rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Context, Decimal
from typing import NamedTuple

FEMTO_PER_USD = 10**15
_EXACT = Context(prec=100)

RATE_NAMES = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
)
# A rate that a price list does not state: the kind of token that it is billed as.
BILLED_AS = (
    ("cache_read", "input"),
    ("cache_write", "input"),
    ("cache_write_1h", "cache_write"),
    ("audio_input", "input"),
    ("image_input", "input"),
    ("reasoning", "output"),
    ("audio_output", "output"),
    ("image_output", "output"),
)

Stated = Mapping[str, int]  # rate name → femto-dollars per token


class Rates(NamedTuple):
    """Femto-dollars per token of each kind, and per call. None: the price list says nothing, and nothing stands in."""

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    call: int = 0

    @property
    def free(self) -> bool:
        """Whether the price list states that nothing of this costs anything."""
        stated = [rate for rate in self[:10] if rate is not None]
        return bool(stated) and not any(stated) and self.call == 0


class Step(NamedTuple):
    """Rates of a whole request whose input is longer than `above` tokens."""

    above: int
    rates: Rates


class Window(NamedTuple):
    """Hours of the day (UTC, end excluded, may pass midnight) on some weekdays (1 = Monday)."""

    days: frozenset[int]
    start: time
    end: time

    def holds(self, at: datetime) -> bool:
        if at.isoweekday() not in self.days:
            return False
        now = at.time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs at one provider, for calls that start in `[valid_from, valid_to)`.

    `tiers` has the steps per service tier, `""` being the ordinary one; each begins with `above` 0 and rises.
    """

    provider: str
    model: str
    source: str
    tiers: Mapping[str, tuple[Step, ...]]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    windows: tuple[Window, ...] = ()

    def holds(self, at: datetime) -> bool:
        """Whether this price applies to a call that started at `at` (aware, UTC)."""
        if self.valid_from is not None and at < self.valid_from:
            return False
        if self.valid_to is not None and at >= self.valid_to:
            return False
        return not self.windows or any(window.holds(at) for window in self.windows)

    def rates(self, input_tokens: int = 0, tier: str = "") -> Rates:
        """The rates of a request of that length. A tier without a price of its own costs the ordinary price."""
        return self.step(input_tokens, tier).rates

    def step(self, input_tokens: int = 0, tier: str = "") -> Step:
        """The step that holds for a request of that length."""
        found, *longer = self.tiers.get(tier) or self.tiers[""]
        for step in longer:
            if input_tokens <= step.above:
                break
            found = step
        return found


def only_price(prices: Sequence[Price], first: datetime, last: datetime) -> Price | None:
    """The first of `prices` that holds, if it is the same one all the time from `first` to `last`; else None."""
    for price in prices:
        if price.windows:
            return None
        if price.holds(first) and price.holds(last):
            return price
        starts_later = price.valid_from is not None and last < price.valid_from
        ended_before = price.valid_to is not None and price.valid_to <= first
        if not starts_later and not ended_before:
            return None
    return None


class Sheet(NamedTuple):
    """Rates as a price list states them: the flat ones, and those of requests longer than some number of tokens."""

    flat: Stated
    above: Mapping[int, Stated]


def schedule(ordinary: Sheet, tiers: Mapping[str, Sheet], call: int) -> dict[str, tuple[Step, ...]]:
    """All steps of all tiers, every gap filled.

    A service tier that does not state a rate at some length uses its own flat rate, then the ordinary one.
    """
    found = {"": _steps(ordinary, Sheet({}, {}), call)}
    for name, sheet in tiers.items():
        found[name] = _steps(sheet, ordinary, call)
    return found


def _steps(sheet: Sheet, ordinary: Sheet, call: int) -> tuple[Step, ...]:
    steps = [Step(0, _rates({**ordinary.flat, **sheet.flat}, call))]
    upper: dict[str, int] = {}
    ordinary_upper: dict[str, int] = {}
    for above in sorted({*sheet.above, *ordinary.above}):
        upper.update(sheet.above.get(above, {}))
        ordinary_upper.update(ordinary.above.get(above, {}))
        steps.append(Step(above, _rates({**ordinary.flat, **ordinary_upper, **sheet.flat, **upper}, call)))
    return tuple(steps)


def _rates(stated: Stated, call: int) -> Rates:
    rates: dict[str, int] = dict(stated)
    if "output" not in rates and "image_output" in rates:  # image models bill all they put out as image
        rates["output"] = rates["image_output"]
    for name, other in BILLED_AS:
        if name not in rates and other in rates:
            rates[name] = rates[other]
    return Rates(call=call, **rates)


def usd(femto: int) -> Decimal:
    """Femto-dollars as an exact Decimal of dollars with 15 decimals."""
    return _EXACT.scaleb(Decimal(femto), -15)


def femto(amount: Decimal) -> int | None:
    """Dollars as femto-dollars, or None if the amount is finer than one or not a number."""
    if not amount.is_finite():
        return None
    scaled = _EXACT.scaleb(amount, 15)
    whole = int(scaled)
    return whole if whole == scaled else None
