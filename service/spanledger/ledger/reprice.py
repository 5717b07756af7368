"""Prices past calls again and posts the differences. The old entries stay and can be queried by `run_id` and
`price_book`."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.compute import compute
from spanledger.books.costs import Prices
from spanledger.books.entries import corrections
from spanledger.errors import NotFound
from spanledger.ledger import activations, anomalies, audit, batches, journal
from spanledger.ledger.activations import LedgerPrices
from spanledger.ledger.hold import Hold
from spanledger.ledger.reprice_groups import Groups
from spanledger.ledger.scope import Scope
from spanledger.pricing import PriceBook
from spanledger.store.client import Store

_TURN_S = 1.0  # for which settlement stands still while it waits, and a piece more
_LONGEST_S = 5.0  # for which it does where it does not wait; progress is told between turns


@dataclass
class Repricing:
    """What a re-pricing changed, or would: entries, and calls with their old and new cost by group."""

    reprice_id: str
    price_book: str
    traces: int = 0
    entries: int = 0
    groups: Groups = field(default_factory=Groups)

    @property
    def calls(self) -> int:
        return self.groups.whole.calls

    def as_dict(self) -> dict[str, Any]:
        models = [
            {"provider": provider, "model": model} | change.as_dict()
            for (provider, model), change in sorted(self.groups.by["model"].items())
        ]
        return {
            "reprice_id": self.reprice_id,
            "price_book": self.price_book,
            "traces": self.traces,
            "entries": self.entries,
            **self.groups.whole.as_dict(),
            "models": models,
            "groups": self.groups.as_dict(),
        }


@dataclass(frozen=True)
class Running:
    """What goes on beside a re-pricing: `still` holds settlement while it is held, `adopt` has it use other prices."""

    still: Hold
    adopt: Callable[[LedgerPrices], None]


def reprice(
    store: Store,
    book: PriceBook,
    start: datetime,
    end: datetime,
    dry_run: bool,
    say: Callable[[str], None],
    running: Running,
) -> Repricing:
    """Prices the calls that started in [start, end) by `book`. Raises StoreError.

    Settlement goes on between the pieces, by the new prices from the first piece on: what it settles anew is right at
    once, and the piece to which it belongs then finds nothing to change.
    """
    activations.register(store, book)
    result = Repricing(uuid.uuid4().hex, book.version)
    with running.still:
        if not dry_run:
            activations.activate(store, book.version, start, end, activation_id=result.reprice_id)
            running.adopt(activations.stored_prices(store))
        would = activations.with_activation(store, book, start, end)
    _post_window(store, would, start, end, result, "" if dry_run else "reprice", say, running)
    return result


def undo(store: Store, reprice_id: str, say: Callable[[str], None], running: Running) -> Repricing:
    """Takes a re-pricing back. Raises NotFound for an id that is not in force."""
    found = next((a for a in activations.activations(store) if a.activation_id == reprice_id), None)
    if found is None:
        raise NotFound(f"no re-pricing {reprice_id!r} is in force; `spanledger reprice --list` shows them")
    result = Repricing(reprice_id, found.version)
    with running.still:
        activations.activate(store, found.version, found.from_at, found.to_at, activation_id=reprice_id, undone=True)
        prices = activations.stored_prices(store)
        running.adopt(prices)
    _post_window(store, prices, found.from_at, found.to_at, result, "undo", say, running)
    return result


def _post_window(
    store: Store,
    by: Prices,
    start: datetime,
    end: datetime,
    result: Repricing,
    reason: str,
    say: Callable[[str], None],
    running: Running,
) -> None:
    traces = audit.count_traces(store, Scope(start, end))
    pieces = _Pieces(store, Scope(start, end))
    work = _Work(store, by, result, reason)
    with ThreadPoolExecutor(1, thread_name_prefix="reprice-reads") as reader:
        while not pieces.are_over:
            with running.still:  # settlement goes on after each turn
                work.turn(pieces, reader, running.still)
            say(f"re-pricing: {result.traces} of {traces} traces")


@dataclass(frozen=True)
class _Piece:
    run_id: str
    spans: pa.Table


class _Pieces:
    """The spans of a scope, some thousand traces at a time, with those that may hold copies of their calls."""

    def __init__(self, store: Store, scope: Scope) -> None:
        self._store = store
        self._runs = audit.chunks(store, scope)
        self.are_over = False

    def next(self) -> _Piece | None:
        """None behind the last one."""
        run = next(self._runs, None)
        if run is None:
            self.are_over = True
            return None
        run_id, _ = run
        try:
            return _Piece(run_id, batches.read_chunk(self._store, run_id, batches.work_of(self._store, run_id)).spans)
        except BaseException:
            batches.forget(self._store, run_id)
            raise


@dataclass(frozen=True)
class _Work:
    store: Store
    by: Prices
    result: Repricing
    reason: str  # '': nothing is posted

    def turn(self, pieces: _Pieces, reader: ThreadPoolExecutor, still: Hold) -> None:
        """Prices pieces for a while, longer where nobody waits for the books; the next one is read meanwhile."""
        began = time.monotonic()
        piece = pieces.next()
        while piece is not None:
            goes_on = time.monotonic() < began + (_TURN_S if still.waiting else _LONGEST_S)
            following = reader.submit(pieces.next) if goes_on else None
            try:
                self._post(piece)
            except BaseException:
                if following is not None and (unposted := following.result()) is not None:
                    batches.forget(self.store, unposted.run_id)
                raise
            finally:
                batches.forget(self.store, piece.run_id)
            piece = following.result() if following is not None else None

    def _post(self, piece: _Piece) -> None:
        books = compute(piece.spans, self.by)
        shards = self.store.all_shards
        changes = corrections(books.lines, journal.posted_lines(self.store, piece.run_id, shards))
        if self.reason:
            anomalies.upsert(self.store, piece.run_id, books.anomalies)
            token, run_id = piece.run_id, self.result.reprice_id
            journal.post(self.store, changes, reason=self.reason, run_id=run_id, token=token, shards=shards)
        self.result.entries += len(changes)
        self.result.groups.add(changes)
        self.result.traces += pc.count_distinct(piece.spans["trace_id"]).as_py()
