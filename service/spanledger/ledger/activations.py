"""Which price book applies at which time, and the cost of a call by it.

A call keeps the price book that applied when it started, also when an upgrade brings a newer one. History changes only
by `reprice`, which activates another book for a window and can be undone."""

import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanledger.books.calls import Call
from spanledger.books.costs import Cost, Sort, Tariff
from spanledger.ledger.rollups import LATEST
from spanledger.ledger.scope import EARLIEST
from spanledger.pricing import Price, PriceBook, Usage, book_of_files, only_price, settle, tier_of
from spanledger.store.client import Store

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Activation:
    """Book `version` holds for calls that start in [from_at, to_at)."""

    activation_id: str
    version: str
    from_at: datetime
    to_at: datetime


class LedgerPrices:
    """Prices by the activations; later ones go before earlier ones."""

    def __init__(self, activations: Iterable[Activation], books: dict[str, PriceBook]) -> None:
        self._activations = [
            (int(a.from_at.timestamp()) * 10**9 + a.from_at.microsecond * 1000, _ns(a.to_at), a.version)
            for a in reversed(list(activations))
        ]
        self._books = books

    def find(self, call: Call) -> tuple[str, Price | None]:
        """The price book that holds for a call, and its price there."""
        version = self._version(call.start_ns)
        at = datetime.fromtimestamp(call.start_ns // 10**9, UTC)
        book = self._books[version]
        price = book.lookup(call.provider, call.response_model or call.request_model, at)
        if price is None and call.response_model and call.request_model:
            price = book.lookup(call.provider, call.request_model, at)
        return version, price

    def lookup(self, provider: str, model: str, at: datetime) -> Price | None:
        """The price that holds for calls of a model that start at `at`."""
        return self._books[self._version(_ns(at))].lookup(provider, model, at)

    def cost(self, call: Call) -> Cost:
        version, price = self.find(call)
        priced = settle(
            price,
            Usage(**call.usage),
            service_tier=call.service_tier,
            usage_estimated=call.estimated,
            claim_usd=call.claim_usd,
            claim_source=call.claim_source,
        )
        if priced.cost_usd is None:
            return Cost("unpriced", _ZERO, version, priced.flags)
        return Cost(priced.state, priced.cost_usd, version, priced.flags)

    def tariff(self, sort: Sort) -> Tariff | None:
        """The same for all calls of a sort; None where more than one price may have held, or something is odd."""
        version = self._only_version(sort.first_ns, sort.last_ns)
        if version is None:
            return None
        first, last = (datetime.fromtimestamp(ns // 10**9, UTC) for ns in (sort.first_ns, sort.last_ns))
        for model in dict.fromkeys((sort.response_model or sort.request_model, sort.request_model)):
            known = self._books[version].lookups(sort.provider, model)
            if any(price.windows or price.valid_from or price.valid_to for price in known):
                held = only_price(known, first, last)
                if held is None:
                    return None
                known = (held,)
            if known:
                tier = tier_of(known[0], sort.service_tier)
                return Tariff(version, known[0].tiers[tier]) if tier in known[0].tiers else None
        return Tariff(version, None)

    def _only_version(self, first_ns: int, last_ns: int) -> str | None:
        """The book that held all the time; None for more than one."""
        for from_ns, to_ns, version in self._activations:
            if from_ns <= first_ns and last_ns < to_ns:
                return version
            if first_ns < to_ns and from_ns <= last_ns:
                return None
        return None

    def _version(self, start_ns: int) -> str:
        for from_ns, to_ns, version in self._activations:
            if from_ns <= start_ns < to_ns:
                return version
        return self._activations[-1][2]


def _ns(when: datetime) -> int:
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000


def open_prices(store: Store, current: PriceBook) -> LedgerPrices:
    """The prices as the store has them; a book that is new there holds from now on (the very first one always).

    Raises StoreError.
    """
    register(store, current)
    active = activations(store)
    newest = [a for a in active if a.to_at >= LATEST]
    if not newest or newest[-1].version != current.version:
        activate(store, current.version, datetime.now(UTC) if newest else EARLIEST, LATEST)
        active = activations(store)
    return LedgerPrices(active, _books(store, active, current))


def with_activation(store: Store, current: PriceBook, start: datetime, end: datetime) -> LedgerPrices:
    """The prices as they would be if `current` held for the window: for a dry run. `current` must be registered."""
    active = [*activations(store), Activation("dry-run", current.version, start, end)]
    return LedgerPrices(active, _books(store, active, current))


def stored_prices(store: Store) -> LedgerPrices:
    """The prices as they are activated now, from the stored books alone."""
    active = activations(store)
    return LedgerPrices(active, _books(store, active, None))


def register(store: Store, book: PriceBook) -> None:
    """Keeps the book's files in the store; nothing happens when the version is known."""
    if store.scalar("SELECT count() FROM price_books WHERE version = {version:String}", {"version": book.version}):
        return
    rows = [[book.version, i, path.name, path.read_text()] for i, path in enumerate(book.files)]
    store.insert("price_books", ["version", "position", "file_name", "content"], rows)


def activations(store: Store) -> list[Activation]:
    """What is in force, in the order of activation."""
    rows = store.query(
        "SELECT activation_id, any(version), toUnixTimestamp64Micro(any(from_at)), toUnixTimestamp64Micro(any(to_at)) "
        "FROM price_activations GROUP BY activation_id HAVING max(undone) = 0 ORDER BY min(activated_at), activation_id"
    )
    return [Activation(i, version, _from_micros(start), _from_micros(end)) for i, version, start, end in rows]


def listed(store: Store) -> dict[str, Any]:
    """The active price books as the API returns them, in the order of activation."""
    return {
        "items": [
            {
                "reprice_id": a.activation_id,
                "price_book": a.version,
                "from": a.from_at.isoformat(),
                "to": a.to_at.isoformat(),
            }
            for a in activations(store)
        ]
    }


def activate(
    store: Store, version: str, start: datetime, end: datetime, activation_id: str = "", undone: bool = False
) -> str:
    """Writes an activation (or its undoing); returns its id."""
    activation_id = activation_id or uuid.uuid4().hex
    row = [datetime.now(UTC), activation_id, version, start, end, int(undone)]
    columns = ["activated_at", "activation_id", "version", "from_at", "to_at", "undone"]
    store.insert("price_activations", columns, [row])
    return activation_id


def _from_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 10**6, UTC).replace(microsecond=micros % 10**6)


def _books(store: Store, active: Iterable[Activation], current: PriceBook | None) -> dict[str, PriceBook]:
    books = {current.version: current} if current else {}
    for version in {a.version for a in active} - books.keys():
        books[version] = _load(store, version)
    return books


def _load(store: Store, version: str) -> PriceBook:
    rows = store.query(
        "SELECT position, file_name, content FROM price_books FINAL WHERE version = {version:String} ORDER BY position",
        {"version": version},
    )
    with tempfile.TemporaryDirectory(prefix="spanledger-prices-") as folder:
        paths = []
        for position, name, content in rows:
            place = Path(folder) / str(position)
            place.mkdir()
            paths.append(place / name)
            paths[-1].write_text(content)
        book = book_of_files(paths)
    # Its digest may differ by how the file ends; the name it was used under is what counts.
    book.version = version
    return book
