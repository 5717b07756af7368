"""`Usage`: the figures that every level of the books reports in the same shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from spanledger.stats.fields import Money

CostState = Literal["billed", "computed", "estimated", "unpriced", "mixed"]
_STATES: tuple[CostState, ...] = ("billed", "computed", "estimated", "unpriced")


@dataclass(frozen=True, slots=True)
class Usage:
    """Input includes cache reads and writes, output includes reasoning; `cost_usd` is an exact decimal text.

    `cost_state` is the state that all calls share, else `mixed`; without calls `computed`: zero is exact then.
    `priced_share` is the share of llm_calls with a price, 1.0 without calls.
    """

    llm_calls: int
    failed_calls: int
    input_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    total_tokens: int
    cost_usd: Money
    cost_state: CostState
    priced_share: float


def usage_of(sums: Mapping[str, Any]) -> Usage:
    """Usage from a row of sums with the ledger's column names."""
    calls = sums["llm_calls"]
    states = [state for state in _STATES if sums[f"{state}_calls"]]
    return Usage(
        llm_calls=calls,
        failed_calls=sums["failed_calls"],
        input_tokens=sums["input_tokens"],
        cache_read_input_tokens=sums["cache_read_input_tokens"],
        cache_write_input_tokens=sums["cache_write_input_tokens"],
        output_tokens=sums["output_tokens"],
        reasoning_output_tokens=sums["reasoning_output_tokens"],
        total_tokens=sums["input_tokens"] + sums["output_tokens"],
        cost_usd=decimal_text(sums["cost_usd"]),
        cost_state=states[0] if len(states) == 1 else "mixed" if states else "computed",
        priced_share=(calls - sums["unpriced_calls"]) / calls if calls else 1.0,
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the cost of the calls is known: how many of them each way. They add up to `llm_calls`."""

    billed_calls: int
    computed_calls: int
    estimated_calls: int
    unpriced_calls: int


def coverage_of(sums: Mapping[str, Any]) -> Coverage:
    """The same from a row of sums with the ledger's column names."""
    return Coverage(**{f"{state}_calls": sums[f"{state}_calls"] for state in _STATES})


_ZERO: dict[str, Any] = {
    "llm_calls": 0,
    "failed_calls": 0,
    "input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_write_input_tokens": 0,
    "output_tokens": 0,
    "reasoning_output_tokens": 0,
    "cost_usd": Decimal(0),
    "billed_calls": 0,
    "computed_calls": 0,
    "estimated_calls": 0,
    "unpriced_calls": 0,
}


def total(rows: Iterable[Mapping[str, Any]]) -> Usage:
    """The usage of several rows of sums together."""
    sums = dict(_ZERO)
    for row in rows:
        for name in sums:
            sums[name] += row[name]
    return usage_of(sums)


def decimal_text(value: Decimal) -> str:
    """Exact and plain: no exponent, no trailing zeros, at least "0"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


NONE = usage_of(_ZERO)
UNCOVERED = coverage_of(_ZERO)
