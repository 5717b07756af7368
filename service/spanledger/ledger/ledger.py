"""The interface of the ledger for the rest of the program: settle, audit, re-price."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from spanledger.ledger import activations, audit, audit_record, copy_lookup, journal, reprice
from spanledger.ledger.activations import LedgerPrices
from spanledger.ledger.audit import Report
from spanledger.ledger.reprice import Repricing, Running
from spanledger.ledger.scope import Scope, of_thing
from spanledger.ledger.settler import Settler
from spanledger.pricing import PriceBook, load_book
from spanledger.settings import Settings
from spanledger.store.client import Store

Say = Callable[[str], None]


class Ledger:
    """One per process. `settler` runs in the background once started; the other operations hold it still meanwhile."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._data_dir = settings.data_dir
        journal.resume(store)
        self._book = load_book([Path(settings.price_book)] if settings.price_book else [])
        self._prices = activations.open_prices(store, self._book)
        self._one_operation = threading.Lock()
        # A load wakes the settler of its own process only: where others load too, it reads the queue at every interval.
        idle_ms = settings.settle_idle_ms if store.embedded else settings.settle_interval_ms
        self.settler = Settler(store, lambda: self._prices, settings.settle_interval_ms, idle_ms)

    @property
    def book(self) -> PriceBook:
        """The prices that hold for what starts now."""
        return self._book

    @property
    def prices(self) -> LedgerPrices:
        return self._prices

    def recover(self, say: Say = lambda _: None) -> dict[str, int]:
        """After an unclean stop, before settlement starts: rollups equal to the ledger again, calls have their keys."""
        copy_lookup.complete_keys(self._store)
        return audit.after_unclean_stop(self._store, say)

    def audit(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        repair: bool = False,
        say: Say = lambda _: None,
        tenant: str | None = None,
    ) -> Report:
        """Compares all levels, of all tenants or one; see audit.audit."""
        scope = Scope(start, end, tenant)
        with self._one_operation:
            report = audit.audit(self._store, self._prices, scope, repair, say, still=self.settler.busy)
        audit_record.write(self._data_dir, report, repair)
        return report

    def audits(self) -> list[audit_record.AuditRecord]:
        """The results of the last audits of windows, the latest first."""
        return audit_record.history(self._data_dir)[::-1]

    def audit_thing(self, tenant: str, kind: str, value: str, say: Say = lambda _: None) -> Report:
        """Audits one conversation, message, trace or user, while settlement goes on."""
        scope = of_thing(self._store, tenant, kind, value)
        found = audit.audit(self._store, self._prices, scope, say=say, settle_first=False)
        if found.balanced:
            return found
        # Its spans may have been settled between two looks: once more, and nothing moves.
        return audit.audit(self._store, self._prices, scope, say=say, still=self.settler.busy)

    def reprice(
        self,
        start: datetime,
        end: datetime,
        book_file: Path | None = None,
        dry_run: bool = False,
        say: Say = lambda _: None,
    ) -> Repricing:
        """Prices [start, end) by the current book, or by it with `book_file` on top."""
        book: PriceBook = load_book([book_file]) if book_file else self._book
        with self._one_operation:
            self.settler.settle_now()
            return reprice.reprice(self._store, book, start, end, dry_run, say, self._beside)

    def undo_reprice(self, reprice_id: str, say: Say = lambda _: None) -> Repricing:
        """Takes a re-pricing back."""
        with self._one_operation:
            self.settler.settle_now()
            return reprice.undo(self._store, reprice_id, say, self._beside)

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Nothing else settles, audits or re-prices meanwhile; what was waiting has been settled before."""
        with self._one_operation:
            self.settler.settle_now()
            with self.settler.busy:
                yield

    @property
    def _beside(self) -> Running:
        """What settles beside a re-pricing: it goes on between the pieces, by the prices that then hold."""
        return Running(self.settler.busy, self._adopt)

    def _adopt(self, prices: LedgerPrices) -> None:
        self._prices = prices

    def health(self) -> dict[str, Any]:
        return self.settler.health()
