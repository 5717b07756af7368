"""The parts of a data folder below the API: its store, its books and its OTLP door."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from spanledger.access import operator
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate, running
from spanledger.store.client import Store, open_embedded, open_server

DRAIN_S = 10.0  # for requests that run, again for what is spooled, and again for what is not settled
Say = Callable[[str], None]


@dataclass(frozen=True)
class Node:
    """Made by `start_node`."""

    settings: Settings
    store: Store
    ledger: Ledger
    ingest: Ingest


def start_node(settings: Settings, stack: ExitStack, say: Say) -> Node:
    """Starts the parts in the order in which they depend on each other; `stack` stops them in reverse.

    The door's processes start first and accept into the spool while the schema is brought up to date.
    """
    store = stack.enter_context(owned_store(settings))
    clean = running.begin(settings.data_dir)
    operator.renew(settings.data_dir)
    ingest = Ingest(settings, store)
    with ExitStack() as undo:
        if settings.plays("ingest"):
            undo.callback(ingest.stop, 1.0)
            ingest.open_door()
        migrate.prepare(store, say)
        ledger = Ledger(store, settings)
        if settings.plays("settle") and not clean:
            ledger.recover(say)
        undo.pop_all()
    if settings.plays("settle"):
        ingest.on_loaded(lambda signal: ledger.settler.wake() if signal != "metrics" else None)
        ledger.settler.give_way_to(ingest.is_flooded)
        stack.callback(_settle_rest, ledger)
    if settings.plays("ingest"):
        stack.callback(ingest.stop, DRAIN_S)
        ingest.start()
    if settings.plays("settle"):
        ledger.settler.start()
    return Node(settings, store, ledger, ingest)


def _settle_rest(ledger: Ledger) -> None:
    ledger.settler.stop()
    ledger.settler.settle_now(DRAIN_S)


@contextmanager
def owned_store(settings: Settings) -> Iterator[Store]:
    """The store of a data folder that this process owns until the end. Raises StoreBusy, StoreError."""
    lock = running.lock_folder(settings.data_dir) if settings.clickhouse_url else contextlib.nullcontext()
    with lock:
        store = open_server(settings.clickhouse_url) if settings.clickhouse_url else open_embedded(settings.data_dir)
        try:
            store.seal_secret = operator.seal_secret(settings.data_dir)
            running.withdraw(settings.data_dir)
            yield store
        finally:
            running.withdraw(settings.data_dir)
            store.close()
