"""Checks of an explanation that hold for every figure: entries, calls and figure are the same sum."""

from decimal import Decimal
from typing import Any

COUNTS = (
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "total_tokens"),
)


def sums(usages: list[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {name: sum(usage[name] for usage in usages) for name in COUNTS}
    return result | {"cost_usd": sum((Decimal(usage["cost_usd"]) for usage in usages), Decimal(0))}


def expect_exact(found: dict[str, Any]) -> None:
    """The sum of the entries, the sum of the calls and the figure are equal; a price's parts make its amount."""
    figure = sums([found["usage"]])
    rest = [found["rest"]["usage"]] if found["rest"] else []
    assert sums([entry["usage"] for entry in found["entries"]] + rest) == figure
    assert sums([call["usage"] for call in found["calls"]] + rest) == figure
    for call in found["calls"]:
        assert Decimal(call["amount"]) == Decimal(call["usage"]["cost_usd"])
        if call["cost_state"] in ("billed", "computed", "estimated"):
            assert sum((Decimal(part["amount"]) for part in call["parts"]), Decimal(0)) == Decimal(call["amount"]), call
            for part in call["parts"]:
                if part["rate"] is not None and part["tokens"] is not None:
                    assert part["tokens"] * Decimal(part["rate"]) == Decimal(part["amount"])
        if call["claim"] is not None:
            known = call["cost_state"] != "unpriced"
            assert call["difference"] is not None if known else call["difference"] is None
            if known:
                assert Decimal(call["amount"]) - Decimal(call["claim"]) == Decimal(call["difference"])
        assert call["agrees"], call
    assert found["books"]["balanced"]
