"""What many calls cost by one price: the same sums as `cost.cost`, a column at a time, in whole femto-dollars.

A call that is not plain (a detail larger than its whole, a rate that is missing, an amount beyond 64 bits) is left to
`cost.settle`, which says what is odd about it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spanledger.pricing.price import Rates, Step

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_MOST = 2**58  # of one part of a cost, so that the sum of all fits 64 bits

# Each kind of token beside the whole it is a part of, with the rate it costs.
_INPUT = ("cache_read", "cache_write", "audio_input", "image_input")
_OUTPUT = ("reasoning", "audio_output", "image_output")


class Counts(NamedTuple):
    """Tokens of many calls, missing counts as zero (but see `known_output`); names as in `Rates`. `cache_write`
    includes the writes that last an hour."""

    input: Ints
    output: Ints
    known_output: Bools
    parts: Mapping[str, Ints]

    def some(self, rows: Ints) -> "Counts":
        parts = {name: tokens[rows] for name, tokens in self.parts.items()}
        return Counts(self.input[rows], self.output[rows], self.known_output[rows], parts)


def costs(steps: tuple[Step, ...], counts: Counts) -> tuple[Ints, Bools]:
    """Femto-dollars, and for which calls they are right; the others are not plain."""
    amount = np.zeros(len(counts.input), np.int64)
    is_plain = np.zeros(len(counts.input), np.bool_)
    for number, step in enumerate(steps):
        here = counts.input > step.above if number else np.ones(len(counts.input), np.bool_)
        found, plain = _by(step.rates, counts)
        amount, is_plain = np.where(here, found, amount), np.where(here, plain, is_plain)
    return amount, is_plain


def _by(rates: Rates, counts: Counts) -> tuple[Ints, Bools]:
    parts = counts.parts
    left_in = counts.input - sum(parts[name] for name in _INPUT)
    left_out = counts.output - sum(parts[name] for name in _OUTPUT)
    short_writes = parts["cache_write"] - parts["cache_write_1h"]
    is_plain = (left_in >= 0) & (left_out >= 0) & (short_writes >= 0)
    is_plain &= counts.known_output | ((rates.output == 0) & (counts.output == 0) & (left_out == 0))
    billed = [(left_in, rates.input), (left_out, rates.output), (short_writes, rates.cache_write)]
    names = ("cache_read", "cache_write_1h", "audio_input", "image_input", *_OUTPUT)
    billed += [(parts[name], getattr(rates, name)) for name in names]
    total = np.full(len(counts.input), rates.call, np.int64)
    if rates.call > _MOST:
        return total, np.zeros(len(total), np.bool_)
    for tokens, rate in billed:
        is_plain &= (tokens >= 0) & (tokens <= (_MOST // rate if rate else _MOST) if rate is not None else tokens == 0)
        total += np.where(is_plain, tokens, 0) * (rate or 0)
    return total, is_plain
