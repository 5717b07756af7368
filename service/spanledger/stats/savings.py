"""What caches of providers saved: input read from a cache at its own rate instead of the rate of new input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from spanledger.pricing.price import Price, usd
from spanledger.stats.breakdown import UsageBucket, breakdown
from spanledger.stats.fields import Money
from spanledger.stats.times import ALL_TIME, SECOND, Window, parse_time
from spanledger.stats.usage import decimal_text
from spanledger.store.client import Store

Lookup = Callable[[str, str, datetime], Price | None]  # provider, model, when a call started

_SHORT_NS = 8 * 86_400 * SECOND  # a window whose prices are looked up hour by hour
_MOST = 1_000  # models


@dataclass(frozen=True)
class ModelSavings:
    """`saved_usd` is null where the price book has no rates for the model."""

    provider: str
    model: str
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    saved_usd: Money | None


@dataclass(frozen=True)
class CacheSavings:
    """`saved_usd`: tokens read × (rate of input − rate of a read) − tokens written × (rate of a write − rate of input),
    at the ordinary rates that held at the beginning of each hour, of each day in windows over 8 days.

    `unpriced_tokens`: tokens read from or written to a cache by models without a price; nothing is known of them.
    """

    saved_usd: Money
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    unpriced_tokens: int
    items: list[ModelSavings]


def savings(
    store: Store,
    tenant: str,
    lookup: Lookup,
    window: Window = ALL_TIME,
    only: Mapping[str, Sequence[str]] | None = None,
) -> CacheSavings:
    """By provider and model, most saved first; models that use no cache are left out."""
    is_short = window.start is not None and window.last_ns - window.first_ns <= _SHORT_NS
    bucket = "hour" if is_short else "day"
    groups = breakdown(store, tenant, window, ["provider", "model"], only, bucket, limit=_MOST, series=_MOST).groups
    lines = []
    for group in groups:
        used = group["usage"]
        if used.cache_read_input_tokens or used.cache_write_input_tokens:
            saved = _saved(lookup, group["provider"], group["model"], group["buckets"])
            text = None if saved is None else decimal_text(saved)
            read, written = used.cache_read_input_tokens, used.cache_write_input_tokens
            lines.append(ModelSavings(group["provider"], group["model"], read, written, text))
    lines.sort(key=lambda line: (line.saved_usd is None, -Decimal(line.saved_usd or 0), line.provider, line.model))
    return CacheSavings(
        saved_usd=decimal_text(sum((Decimal(line.saved_usd) for line in lines if line.saved_usd), Decimal(0))),
        cache_read_input_tokens=sum(line.cache_read_input_tokens for line in lines),
        cache_write_input_tokens=sum(line.cache_write_input_tokens for line in lines),
        unpriced_tokens=sum(
            line.cache_read_input_tokens + line.cache_write_input_tokens for line in lines if line.saved_usd is None
        ),
        items=lines,
    )


def _saved(lookup: Lookup, provider: str, model: str, buckets: Sequence[UsageBucket]) -> Decimal | None:
    """None where a bucket with cached tokens has no rates."""
    saved = 0
    for bucket in buckets:
        read, written = bucket.usage.cache_read_input_tokens, bucket.usage.cache_write_input_tokens
        if not read and not written:
            continue
        at = datetime.fromtimestamp(parse_time(bucket.start) // SECOND, UTC)
        price = lookup(provider, model, at)
        rates = price.rates() if price is not None else None
        if rates is None or rates.input is None or rates.cache_read is None or rates.cache_write is None:
            return None
        saved += read * (rates.input - rates.cache_read) - written * (rates.cache_write - rates.input)
    return usd(saved)
