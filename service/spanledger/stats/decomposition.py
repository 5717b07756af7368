"""Why one thing costs more than another: the difference of two costs as amounts of single factors.

A cost is a product of factors: calls × (input tokens × rate + output tokens × rate). The share of each factor is its
Shapley value: the change when that factor takes the other side's value, averaged over every order of the changes. It
depends on no order, and the shares add up to the difference exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import combinations
from math import factorial

KINDS = ("input", "cache_read", "cache_write", "output", "call")
_ZERO = Fraction(0)


@dataclass(frozen=True)
class ModelLine:
    """What calls of one model came to: `tokens` and `amounts` (USD) by kind; `input` is what no cache had."""

    calls: int
    tokens: Mapping[str, int]
    amounts: Mapping[str, Fraction]
    rates: Mapping[str, Fraction]


@dataclass(frozen=True)
class Profile:
    """The factors of a cost. `calls`: those that neither follow a tool nor failed after tokens were paid for;
    `context` and `answer`: tokens a call; `cache`: shares of the context read from and written to a cache; `rates`: USD
    a token by kind, and a call."""

    calls: Fraction
    tools: Fraction
    retries: Fraction
    context: Fraction
    answer: Fraction
    cache: tuple[Fraction, Fraction]
    rates: Mapping[str, Fraction]

    @property
    def all_calls(self) -> Fraction:
        return self.calls + self.tools + self.retries

    @property
    def cost(self) -> Fraction:
        read, written = self.cache
        rates = self.rates
        of_input = (1 - read - written) * rates["input"] + read * rates["cache_read"] + written * rates["cache_write"]
        return self.all_calls * (self.context * of_input + self.answer * rates["output"] + rates["call"])


FACTORS = tuple(one.name for one in fields(Profile))


def profile(lines: Iterable[ModelLine], of: int, tools: int, retries: int) -> Profile | None:
    """The average of `of` things that made these calls; None without a call. `tools`, `retries`: how many of the calls
    follow a tool, and how many failed and were paid for."""
    known = list(lines)
    calls = sum(line.calls for line in known)
    if calls <= 0:
        return None
    tokens = {kind: sum(line.tokens.get(kind, 0) for line in known) for kind in KINDS}
    context = tokens["input"] + tokens["cache_read"] + tokens["cache_write"]
    cached = [Fraction(tokens[kind], context) if context > 0 else _ZERO for kind in ("cache_read", "cache_write")]
    return Profile(
        calls=Fraction(calls - tools - retries, of),
        tools=Fraction(tools, of),
        retries=Fraction(retries, of),
        context=Fraction(context, calls),
        answer=Fraction(tokens["output"], calls),
        cache=(cached[0], cached[1]),
        rates={kind: _rate(kind, known, tokens[kind], calls) for kind in KINDS},
    )


def _rate(kind: str, lines: Iterable[ModelLine], tokens: int, calls: int) -> Fraction:
    """What a token of the kind came to; where none was used, what it would have cost the calls on average."""
    if kind == "call":
        return sum((line.amounts.get(kind, _ZERO) for line in lines), _ZERO) / calls
    if tokens:
        return sum((line.amounts.get(kind, _ZERO) for line in lines), _ZERO) / tokens
    return sum((line.rates.get(kind, _ZERO) * line.calls for line in lines), _ZERO) / calls


def shares(own: Profile, typical: Profile) -> dict[str, Fraction]:
    """By factor its part of `own.cost - typical.cost`."""
    moved = [name for name in FACTORS if getattr(own, name) != getattr(typical, name)]
    values = {
        frozenset(chosen): Profile(**{name: getattr(own if name in chosen else typical, name) for name in FACTORS}).cost
        for size in range(len(moved) + 1)
        for chosen in combinations(moved, size)
    }
    found = dict.fromkeys(FACTORS, _ZERO)
    count = len(moved)
    for chosen, value in values.items():
        before = Fraction(factorial(len(chosen)) * factorial(max(0, count - len(chosen) - 1)), factorial(count))
        for name in moved:
            if name not in chosen:
                found[name] += before * (values[chosen | {name}] - value)
    return found
