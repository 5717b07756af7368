"""What a re-pricing changes, by model, user, tenant and day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.entries import IS_DUE

GROUPINGS: Mapping[str, tuple[str, ...]] = {
    "model": ("provider", "model"),
    "user": ("tenant", "user_id"),
    "tenant": ("tenant",),
    "day": ("day",),
}
SHOWN = 200  # groups of one dimension
_DAY_NS = 86_400 * 10**9


@dataclass
class Change:
    """`calls` that are priced again, with their cost and the calls without a price, before and after."""

    calls: int = 0
    old_usd: Decimal = Decimal(0)
    new_usd: Decimal = Decimal(0)
    old_unpriced_calls: int = 0
    new_unpriced_calls: int = 0

    def add(self, other: "Change") -> None:
        self.calls += other.calls
        self.old_usd += other.old_usd
        self.new_usd += other.new_usd
        self.old_unpriced_calls += other.old_unpriced_calls
        self.new_unpriced_calls += other.new_unpriced_calls

    def as_dict(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "old_usd": format(self.old_usd, "f"),
            "new_usd": format(self.new_usd, "f"),
            "difference_usd": format(self.new_usd - self.old_usd, "f"),
            "old_unpriced_calls": self.old_unpriced_calls,
            "new_unpriced_calls": self.new_unpriced_calls,
        }


@dataclass
class Groups:
    """The changes of a re-pricing, by dimension and group; each dimension adds up to the whole."""

    whole: Change = field(default_factory=Change)
    by: dict[str, dict[tuple[str, ...], Change]] = field(default_factory=lambda: {name: {} for name in GROUPINGS})

    def add(self, changes: pa.Table) -> None:
        """Lines that the book should have bring calls and a new cost, those that it should not have take the old
        one."""
        if not len(changes):
            return
        columns = {name: changes[name] for names in GROUPINGS.values() for name in names if name != "day"}
        days = pc.floor(pc.divide(changes["started_at_ns"], _DAY_NS))
        columns["day"] = pc.cast(pc.cast(pc.cast(days, pa.int32()), pa.date32()), pa.string())
        known = pa.table({**columns, **{name: changes[name] for name in (IS_DUE, "cost_usd", "unpriced_calls")}})
        known = known.append_column("calls", pc.max_element_wise(changes["llm_calls"], 0))
        for name, keys in GROUPINGS.items():
            measures = [(name, "sum") for name in ("calls", "cost_usd", "unpriced_calls")]
            summed = known.group_by([*keys, IS_DUE]).aggregate(measures)
            for row in summed.to_pylist():
                change = _change(row)
                self.by[name].setdefault(tuple(row[key] for key in keys), Change()).add(change)
                if name == "day":
                    self.whole.add(change)

    def as_dict(self) -> dict[str, Any]:
        """Per dimension the groups with the largest differences, and the sum of the others; days in their order."""
        return {name: _listed(name, found) for name, found in self.by.items()}


def _change(row: Mapping[str, Any]) -> Change:
    if row[IS_DUE]:
        return Change(row["calls_sum"], new_usd=row["cost_usd_sum"], new_unpriced_calls=row["unpriced_calls_sum"])
    return Change(old_usd=-row["cost_usd_sum"], old_unpriced_calls=-row["unpriced_calls_sum"])


def _listed(name: str, found: Mapping[tuple[str, ...], Change]) -> dict[str, Any]:
    ordered = sorted(found.items(), key=lambda pair: (-abs(pair[1].new_usd - pair[1].old_usd), pair[0]))
    shown, others = ordered[:SHOWN], Change()
    for _, change in ordered[SHOWN:]:
        others.add(change)
    if name == "day":
        shown.sort(key=lambda pair: pair[0])
    items = [dict(zip(_NAMED[name], key, strict=True)) | change.as_dict() for key, change in shown]
    return {"items": items, "count": len(found), "other": others.as_dict() if len(ordered) > SHOWN else None}


_NAMED = {name: tuple(key.removesuffix("_id") for key in keys) for name, keys in GROUPINGS.items()}
