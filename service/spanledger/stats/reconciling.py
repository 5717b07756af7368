"""Our books by day and model as a provider's usage export has them, so that both can be compared."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from spanledger.reconcile import reconcile
from spanledger.reconcile.exports import parse_export
from spanledger.reconcile.usage_rows import UsageRow
from spanledger.stats import times
from spanledger.stats.breakdown import breakdown
from spanledger.store.client import Store


def reconciled(store: Store, tenant: str, text: str, name: str, tolerance: Decimal) -> dict[str, Any]:
    """What `spanledger reconcile --json` prints. Raises BadRequest for an export that cannot be read."""
    export = parse_export(text, name)
    report = reconcile.compare(export, _rows(store, tenant, export.days), tolerance)
    answer: dict[str, Any] = reconcile.to_json(report)
    return answer


def _rows(store: Store, tenant: str, days: Iterable[date]) -> Iterator[UsageRow]:
    for day in sorted(days):
        window = times.window(day.isoformat(), (day + timedelta(days=1)).isoformat())
        for group in breakdown(store, tenant, window, ["provider", "model"]).groups:
            usage = group["usage"]
            yield UsageRow(
                day,
                group["provider"],
                group["model"],
                usage.llm_calls,
                usage.input_tokens,
                usage.cache_read_input_tokens,
                usage.cache_write_input_tokens,
                usage.output_tokens,
                Decimal(usage.cost_usd),
            )
