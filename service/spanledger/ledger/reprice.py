"""Prices history again, as new ledger entries: the old figures stay, queryable by `run_id` and `price_book`."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from spanledger.books.compute import compute
from spanledger.books.costs import Prices
from spanledger.books.entries import DIMS, MEASURES, Book, difference, lines_of
from spanledger.errors import NotFound
from spanledger.ledger import activations, anomalies, audit, batches, journal
from spanledger.ledger.scope import Scope
from spanledger.pricing import PriceBook
from spanledger.store.client import Store


@dataclass
class Repricing:
    """What a re-pricing changed: entries posted, and per (provider, model) calls, old and new cost."""

    reprice_id: str
    price_book: str
    traces: int = 0
    entries: int = 0
    calls: int = 0
    old_usd: Decimal = Decimal(0)
    new_usd: Decimal = Decimal(0)
    by_model: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        models = [
            {"provider": p, "model": m, "calls": c, "old_usd": format(o, "f"), "new_usd": format(n, "f")}
            for (p, m), (c, o, n) in sorted(self.by_model.items())
        ]
        return {
            "reprice_id": self.reprice_id,
            "price_book": self.price_book,
            "traces": self.traces,
            "calls": self.calls,
            "entries": self.entries,
            "old_usd": format(self.old_usd, "f"),
            "new_usd": format(self.new_usd, "f"),
            "difference_usd": format(self.new_usd - self.old_usd, "f"),
            "models": models,
        }


def reprice(
    store: Store,
    book: PriceBook,
    start: datetime,
    end: datetime,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Repricing:
    """Prices the calls that started in [start, end) by `book`. Raises StoreError."""
    activations.register(store, book)
    result = Repricing(uuid.uuid4().hex, book.version)
    if not dry_run:
        activations.activate(store, book.version, start, end, activation_id=result.reprice_id)
    would = activations.with_activation(store, book, start, end)
    _post_window(store, would, start, end, result, "" if dry_run else "reprice", say)
    return result


def undo(store: Store, reprice_id: str, say: Callable[[str], None] = lambda _: None) -> Repricing:
    """Takes a re-pricing back. Raises NotFound for an id that is not in force."""
    found = next((a for a in activations.activations(store) if a.activation_id == reprice_id), None)
    if found is None:
        raise NotFound(f"no re-pricing {reprice_id!r} is in force; `spanledger reprice --list` shows them")
    activations.activate(store, found.version, found.from_at, found.to_at, activation_id=reprice_id, undone=True)
    result = Repricing(reprice_id, found.version)
    _post_window(store, activations.stored_prices(store), found.from_at, found.to_at, result, "undo", say)
    return result


def _post_window(
    store: Store,
    by: Prices,
    start: datetime,
    end: datetime,
    result: Repricing,
    reason: str,
    say: Callable[[str], None],
) -> None:
    for run_id in audit.chunks(store, Scope(start, end)):
        try:
            spans = batches.read_chunk(store, run_id, batches.work_of(store, run_id)).spans
            books = compute(spans, by)
            should = books.book
            posted = journal.posted(store, run_id, store.all_shards)
            changes = difference(should, posted)
            if reason:
                anomalies.upsert(store, run_id, books.anomalies)
                journal.post(
                    store,
                    lines_of(changes),
                    reason=reason,
                    run_id=result.reprice_id,
                    token=run_id,
                    shards=store.all_shards,
                )
            _count(result, changes, should)
            result.traces += len(set(spans["trace_id"].to_pylist()))
            say(f"{result.traces} traces, {result.calls} calls re-priced")
        finally:
            batches.forget(store, run_id)


def _count(result: Repricing, changes: Book, should: Book) -> None:
    provider, model = DIMS.index("provider"), DIMS.index("model")
    calls, cost = MEASURES.index("llm_calls"), MEASURES.index("cost_usd")
    result.entries += len(changes)
    for key, amounts in changes.items():
        entry = result.by_model.setdefault((key[provider], key[model]), [0, Decimal(0), Decimal(0)])
        if key in should:
            entry[0] += max(amounts[calls], 0)
            entry[2] += amounts[cost]
            result.calls += max(amounts[calls], 0)
            result.new_usd += amounts[cost]
        else:
            entry[1] -= amounts[cost]
            result.old_usd -= amounts[cost]
