"""What the books say, as plain sums: the container that the truth of a forest, the oracle and a test can compare."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal

Dimension = Literal["tenant", "model", "user", "conversation", "message"]
DIMENSIONS: tuple[Dimension, ...] = ("tenant", "model", "user", "conversation", "message")
State = Literal["billed", "computed", "estimated", "unpriced"]


@dataclass(frozen=True)
class Amounts:
    """Sums over calls and tool executions. Unknown token counts add nothing; unpriced calls add no cost."""

    llm_calls: int = 0
    failed_calls: int = 0
    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    billed_calls: int = 0
    computed_calls: int = 0
    estimated_calls: int = 0
    unpriced_calls: int = 0
    tool_calls: int = 0
    failed_tool_calls: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass
class Totals:
    """Sums per dimension, keyed by (tenant, value); value '' where a call has none. Tools have no model."""

    sums: dict[Dimension, dict[tuple[str, str], Amounts]] = field(default_factory=lambda: {d: {} for d in DIMENSIONS})

    def post(self, amounts: Amounts, values: Mapping[Dimension, str]) -> None:
        """Adds one call or tool to every dimension that `values` names; `tenant` must be among them."""
        for dimension, value in values.items():
            key = (values["tenant"], value)
            self.sums[dimension][key] = self.sums[dimension].get(key, Amounts()) + amounts

    def grand(self, dimension: Dimension) -> Amounts:
        return sum(self.sums[dimension].values(), Amounts())
