"""Answers that response caches gave in place of providers, and the savings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from spanledger.stats.fields import Money, OrNull
from spanledger.stats.times import Window
from spanledger.stats.usage import decimal_text
from spanledger.store import queries
from spanledger.store.client import Store


@dataclass(frozen=True)
class CacheUse:
    """`saved_*`: what the hits had cost when they were first answered. `priced_share`: the share of hits for which
    the saving in USD is known, 1.0 without hits. `hit_share` is None when no cache was used."""

    hits: int
    misses: int
    hit_share: float | None
    saved_input_tokens: int
    saved_output_tokens: int
    saved_tokens: int
    saved_usd: Money
    priced_share: float


@dataclass(frozen=True)
class ModelCacheUse:
    provider: OrNull
    model: str
    use: CacheUse


@dataclass(frozen=True)
class CacheReport:
    """All together, and by model, most hits first."""

    total: CacheUse
    models: list[ModelCacheUse]


def cache_report(store: Store, tenant: str, window: Window) -> CacheReport:
    """Lookups in response caches in `window`: hits, misses and savings."""
    rows = store.dicts(queries.sql("response_cache"), {"tenant": tenant, **window.bounds()})
    return CacheReport(_use(rows), [ModelCacheUse(row["provider"], row["model"], _use([row])) for row in rows])


def _use(rows: Iterable[Mapping[str, Any]]) -> CacheUse:
    names = ("hits", "misses", "input_tokens", "output_tokens", "priced_hits")
    sums = dict.fromkeys(names, 0)
    usd = Decimal(0)
    for row in rows:
        usd += row["cost_usd"]
        for name in names:
            sums[name] += row[name]
    lookups = sums["hits"] + sums["misses"]
    return CacheUse(
        hits=sums["hits"],
        misses=sums["misses"],
        hit_share=sums["hits"] / lookups if lookups else None,
        saved_input_tokens=sums["input_tokens"],
        saved_output_tokens=sums["output_tokens"],
        saved_tokens=sums["input_tokens"] + sums["output_tokens"],
        saved_usd=decimal_text(usd),
        priced_share=sums["priced_hits"] / sums["hits"] if sums["hits"] else 1.0,
    )
