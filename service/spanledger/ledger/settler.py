"""Settlement: brings the ledger into agreement with the spans of touched traces.

For every trace with unsettled spans it computes what the books should say (books.compute) and posts `should − posted`.
Doing it again posts nothing, so a crash, a second settler or a repeated batch does no harm.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from spanledger.books.compute import compute
from spanledger.books.costs import Prices
from spanledger.books.entries import corrections
from spanledger.errors import SpanledgerError, public_message
from spanledger.ledger import anomalies, journal, links
from spanledger.ledger.batches import BATCH_TRACES, FIRST, Batch, dequeue, forget, in_hand, take
from spanledger.ledger.hold import Hold
from spanledger.ledger.suspects import BatchFailed, Suspects
from spanledger.store.client import Store

log = logging.getLogger(__name__)

_LITTLE_TRACES = 1_000  # of a batch while settlement gives way
_GIVING_WAY = 8  # times as long as it worked
_PATIENCE_S, _OTHERS_S = 5.0, 0.02  # with other settlers, which may have died; between two looks at them


Observer = Callable[[pa.Table, pa.Table], None]


def _ignore(spans: pa.Table, posted: pa.Table) -> None:
    """The default observer: does nothing."""


@dataclass
class Health:
    """Health of settlement: counters since start, lag of the last run."""

    runs: int = 0
    spans: int = 0
    traces: int = 0
    entries: int = 0
    truncated: int = 0
    failures: int = 0
    set_aside: int = 0  # traces that cannot be settled
    lag_ms: int = 0
    worst_lag_ms: int = 0
    last_error: str = ""
    last_run_at: str = ""


@dataclass
class Outcome:
    """One settlement: traces from the queue, spans read, entries posted, and when the longest waiting span came, if any
    was read for the first time."""

    traces: int = 0
    spans: int = 0
    entries: int = 0
    waiting_since_ms: int | None = None


def settle_once(store: Store, prices: Prices, limit: int = BATCH_TRACES) -> Outcome:
    """Settles up to `limit` touched traces. Raises StoreError; nothing is lost then, the traces stay queued."""
    batch = take(store, limit)
    return settle(store, prices, batch) if batch else Outcome()


def settle(store: Store, prices: Prices, batch: Batch, reason: str = "settle", observe: Observer = _ignore) -> Outcome:
    """Posts the difference between the books of a batch and its posted entries, and dequeues its traces. `observe`
    receives the spans of the batch and the entries posted for them before."""
    shards = "" if batch.alone else store.all_shards
    try:
        books = compute(batch.chunk.spans, prices)
        posted = journal.posted_lines(store, batch.run_id, shards)
        observe(batch.chunk.spans, posted)
        entries = corrections(books.lines, posted)
        journal.upsert_messages(store, books, posted)
        anomalies.upsert(store, batch.run_id, books.anomalies)
        links.keep(store, books.across, shards)
        journal.post(store, entries, reason=reason, run_id=batch.run_id, shards=shards)
        dequeue(store, batch.touched, f"settled-{batch.run_id}")
        if len(entries):
            _queue(store, batch)
            if not batch.chunk.is_closed:
                _requeue_joined_traces(store, batch.run_id)
    finally:
        forget(store, batch.run_id)
    return Outcome(batch.traces, batch.chunk.spans.num_rows, len(entries), batch.chunk.waiting_since_ms)


def _queue(store: Store, batch: Batch) -> None:
    """Queues the traces that were settled together with traces of the batch before, but not this time: their calls may
    no longer be copies. It ends when nothing more is posted."""
    touched = [(tenant, trace_id) for tenant, trace_id, _ in batch.touched]
    others = links.linked(store, touched, batch.chunk.traces)
    store.insert(
        f"{store.all_shards}.settle_queue",
        ("tenant", "trace_id"),
        sorted(others),
        settings={"insert_deduplication_token": f"parted-{batch.run_id}"},
    )


def _requeue_joined_traces(store: Store, run_id: str) -> None:
    """Queues the traces beside the queue's own that took part in a run that posted, each on its shard: they may have
    copies that the run did not look for, and a second settler that worked on them at the same moment must not leave
    both postings standing. Of two such runs the one that took them later finds the other in settle_work, if that one
    did not post before; what other shards work on does not stand there."""
    store.command(
        f"INSERT INTO {store.all_shards}.settle_queue (tenant, trace_id) "
        "SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String} AND round > 0",
        {"run": run_id},
        settings={"insert_deduplication_token": f"again-{run_id}"},
    )


class Settler:
    """Runs settlement in a thread of its own: when woken, and otherwise at intervals.

    `interval_ms` is the pause after a run that found work; each run that finds none doubles it, up to `idle_ms`.

    `busy` is held during each run; code that compares or rewrites the books takes it to stop settlement meanwhile.
    """

    def __init__(self, store: Store, prices: Callable[[], Prices], interval_ms: int = 100, idle_ms: int = 100) -> None:
        self.busy = Hold()
        self._store = store
        self._prices = prices
        self._interval_s = interval_ms / 1000
        self._idle_s = max(idle_ms, interval_ms) / 1000
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._health = Health()
        self._listeners: list[Callable[[], None]] = []
        self._observe: Observer = _ignore
        self._last = FIRST
        self._limit = BATCH_TRACES
        self._suspects = Suspects()
        self._is_flooded: Callable[[], bool] = lambda: False
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="settler-reads")
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ends the thread after the run at hand; what is queued stays queued."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def on_posted(self, listener: Callable[[], None]) -> None:
        """Calls back after entries were posted, on the settling thread: it must take no time."""
        self._listeners.append(listener)

    def observe_with(self, observe: Observer) -> None:
        """Calls back with the spans of each batch and what was posted about them before, on the settling thread."""
        self._observe = observe

    def give_way_to(self, is_flooded: Callable[[], bool]) -> None:
        """While `is_flooded` returns True, settlement runs small batches with long pauses: storing has priority."""
        self._is_flooded = is_flooded

    def wake(self) -> None:
        """Wakes the thread: new spans were stored."""
        self._wake.set()

    def settle_now(self, within_s: float = math.inf) -> int:
        """Settles until nothing is pending or time is over, also when stopped; returns how many entries were posted.

        What another settler on the same server has in hand is waited for; a warning says so when that takes too long.
        Raises StoreError.
        """
        deadline = time.monotonic() + within_s
        patience = min(deadline, time.monotonic() + _PATIENCE_S)
        posted = 0
        while True:
            with self.busy:
                posted += self._settle_while(lambda: time.monotonic() < deadline, look_again=True)
                others = in_hand(self._store)  # none of ours: we are busy
            if others and time.monotonic() > patience:
                log.warning("another settler has traces in hand, or has died with them: the books may lack them yet")
                others = False
            if not others:
                return posted
            time.sleep(_OTHERS_S)

    def _settle_while(self, may_go_on: Callable[[], bool], look_again: bool = False) -> int:
        """`look_again`: ends when nothing is left in the queue, not when everything that was in it has been settled."""
        with self.busy:
            posted = self._health.entries
            while not self._isolated(lambda: self._settle_batches(may_go_on, look_again)):
                pass
            return self._health.entries - posted

    def _settle_batches(self, may_go_on: Callable[[], bool], look_again: bool) -> None:
        batch = self._take()
        if batch is None:
            self._health.lag_ms = 0
        while batch is not None and may_go_on():
            batch = self._settle_and_read_on(batch, look_again)
        if batch is not None:
            forget(self._store, batch.run_id)
        aside = self._health.set_aside
        self._health.last_error = f"{aside} traces cannot be settled and are set aside" if aside else ""

    def _isolated(self, work: Callable[[], None]) -> bool:
        """Runs `work`; False if a batch failed: the next run takes a smaller one (suspects.py)."""
        try:
            work()
        except BatchFailed as failure:
            self._health.failures += 1
            self._suspects.failed(failure)
            self._last = FIRST  # what was settled is no longer in the queue
            return False
        return True

    def _take(self, most: int | None = None) -> Batch | None:
        """The next batch, behind the one before it."""
        aside = self._suspects.aside()
        self._health.set_aside = len(aside)
        limit = self._suspects.limit(min(most or self._limit, self._limit))
        batch = take(self._store, limit, self._note_truncated, self._last, aside)
        if batch is not None:
            self._limit = batch.fitting
        self._last = FIRST if batch is None or batch.whole else batch.last
        return batch

    def _settle_a_little(self) -> None:
        with self.busy:
            self._isolated(self._settle_one)

    def _settle_one(self) -> None:
        batch = self._take(_LITTLE_TRACES)
        if batch is not None:
            self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        try:
            outcome = settle(self._store, self._prices(), batch, observe=self._observe)
        except SpanledgerError:
            raise
        except Exception as exc:
            raise BatchFailed([(tenant, trace_id) for tenant, trace_id, _ in batch.touched]) from exc
        self._suspects.succeeded(self._limit)
        self._note(outcome)

    def _settle_and_read_on(self, batch: Batch, look_again: bool) -> Batch | None:
        """Settles a batch and returns the next one. When more are waiting, it reads that one meanwhile: half of the
        work is ClickHouse's."""
        if not batch.full:
            self._settle(batch)
            return self._take() if look_again or not batch.whole else None
        following = self._reader.submit(self._take)
        try:
            self._settle(batch)
        except BaseException:
            with suppress(BatchFailed):
                if (unused := following.result()) is not None:
                    forget(self._store, unused.run_id)
            raise
        # Read while `batch` was posted, which changes no span; what is posted is read when it is settled itself.
        return following.result() or self._take()

    def health(self) -> dict[str, Any]:
        return dict(vars(self._health))

    def _run(self) -> None:
        pause_s = self._interval_s
        while not self._stop.is_set():
            woken = self._wake.wait(pause_s)
            self._wake.clear()
            started = time.monotonic()
            runs = self._health.runs
            failed = not self._settle_what_waits()
            busy = woken or failed or self._health.runs > runs
            pause_s = self._interval_s if busy else min(2 * pause_s, self._idle_s)
            self._rest(time.monotonic() - started)

    def _settle_what_waits(self) -> bool:
        """Settles the queue; False after a failure, which is logged and counted."""
        try:
            if self._is_flooded():
                self._settle_a_little()
            else:
                self._settle_while(lambda: not (self._stop.is_set() or self._is_flooded()))
        except SpanledgerError as exc:
            self._failed(exc)
            return False
        except Exception as exc:
            log.exception("settlement failed")
            self._failed(exc)
            return False
        return True

    def _rest(self, worked_s: float) -> None:
        """In a flood, pauses for a multiple of the time that the last run took."""
        until = time.monotonic() + _GIVING_WAY * worked_s
        while time.monotonic() < until and self._is_flooded() and not self._stop.is_set():
            self._stop.wait(0.1)

    def _note(self, outcome: Outcome) -> None:
        health = self._health
        health.runs += 1
        health.traces += outcome.traces
        health.spans += outcome.spans
        health.entries += outcome.entries
        if outcome.waiting_since_ms is not None:
            health.lag_ms = max(0, int(time.time() * 1000) - outcome.waiting_since_ms)
            health.worst_lag_ms = max(health.worst_lag_ms, health.lag_ms)
        if outcome.entries:
            for listener in self._listeners:
                listener()
        health.last_run_at = datetime.now(UTC).isoformat(timespec="milliseconds")

    def _note_truncated(self) -> None:
        self._health.truncated += 1

    def _failed(self, exc: BaseException) -> None:
        self._health.failures += 1
        self._health.last_error = public_message(exc)
        log.error("settlement failed, will try again: %s", exc)
        self._stop.wait(1.0)
