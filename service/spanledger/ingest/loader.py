"""Moves the spool into ClickHouse: batch by batch, each signal on a thread of its own, in a flood of traces on two."""

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanledger.errors import StoreError, public_message
from spanledger.ingest import salvage, spool, targets
from spanledger.ingest.feed import Load, feed_of
from spanledger.ingest.journal import Journal
from spanledger.ingest.merges import Merges
from spanledger.ingest.recovery import Recovery
from spanledger.ingest.signals import SIGNALS
from spanledger.store.client import Store

_BATCH_BYTES = 16 * 1024 * 1024
_FLOOD_BYTES = 32 * 1024 * 1024  # of a batch when more than that is waiting: less CPU a span, fewer parts to merge
_THREADS = {"traces": 2, "logs": 1, "metrics": 1}  # one load keeps hardly more than one core busy
# From the start of a load to the start of the next: so many times as long as it took, but not longer than this. Each
# has a price of its own, however little it brings, and so has the settlement behind it. On a machine where one takes
# longer, the next one begins after as long a rest: otherwise loads would leave no CPU.
_APART, _LONGEST_APART_S = 3, 0.4
_LONGEST_REST_S = 1.0
_MAX_BACKOFF_S = 5.0

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Of one signal since the start."""

    batches: int = 0
    items: int = 0
    bytes: int = 0
    retries: int = 0
    buried: int = 0
    last_error: str = ""


@dataclass
class _Lane:
    """What waits to be loaded of one signal."""

    queue: deque[spool.Segment] = field(default_factory=deque)
    known: set[Path] = field(default_factory=set)
    loading: dict[Path, int] = field(default_factory=dict)  # the first segment of each load, and its oldest in ms
    progress: Progress = field(default_factory=Progress)

    @property
    def holds(self) -> int:
        """Bytes that are not being loaded yet."""
        return sum(segment.size for segment in self.queue)

    def take(self) -> list[spool.Segment]:
        """The next batch of a queue that is not empty."""
        most = _FLOOD_BYTES if self.holds >= _FLOOD_BYTES else _BATCH_BYTES
        batch: list[spool.Segment] = []
        while self.queue and (not batch or sum(s.size for s in batch) + self.queue[0].size <= most):
            batch.append(self.queue.popleft())
        self.loading[batch[0].path] = min(segment.oldest_ms for segment in batch)
        return batch


class Loader:
    """`want` asks for a segment of a signal; `on_loaded` is called after every load, on the loading thread."""

    def __init__(
        self, store: Store, data_dir: Path, durable: bool, want: Callable[[str], None], on_loaded: Callable[[str], None]
    ) -> None:
        self._store = store
        self._feed = feed_of(store)
        self._data_dir = data_dir
        self._durable = durable
        self._want = want
        self._on_loaded = on_loaded
        self._changed = threading.Condition()
        self._lanes = {signal: _Lane() for signal in SIGNALS}
        self._drains = 0  # callers that wait until everything is loaded
        self._stop = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins with what earlier processes left. Expects no segment to be open any more."""
        for segment in spool.ready_segments(self._data_dir):
            self.offer(segment)
        for signal in SIGNALS:
            self._start(self._run, signal)

    def _start(self, target: Callable[..., None], signal: str, *args: object) -> None:
        thread = threading.Thread(target=target, args=(signal, *args), name=f"ingest-{signal}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def offer(self, segment: spool.Segment) -> None:
        """A complete segment; one that is known already, or was loaded since it was seen, is ignored.

        A load removes the file before it forgets the name: what is not known and still there is not loaded.
        """
        with self._changed:
            lane = self._lanes[segment.signal]
            if segment.path not in lane.known and segment.path.exists():
                lane.known.add(segment.path)
                lane.queue.append(segment)
                self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Waits until everything offered is loaded; False when that takes longer."""
        with self._changed:
            self._drains += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not any(lane.known for lane in self._lanes.values()), timeout)
            finally:
                self._drains -= 1

    def stop(self, timeout: float) -> None:
        """Ends the threads after the load that runs; what is left stays in the spool."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def progress(self) -> dict[str, Progress]:
        return {signal: lane.progress for signal, lane in self._lanes.items()}

    def waiting(self) -> Counter[str]:
        """`segments` and `bytes` that are complete and not loaded, `oldest_ms` of the first of them (0: none)."""
        with self._changed:
            queued = [segment for lane in self._lanes.values() for segment in lane.queue]
            loading = [oldest for lane in self._lanes.values() for oldest in lane.loading.values()]
        oldest = [*loading, *(segment.oldest_ms for segment in queued)]
        return Counter(
            segments=len(queued),
            bytes=sum(segment.size for segment in queued),
            items=sum(segment.items for segment in queued),
            oldest_ms=min(oldest, default=0),
        )

    def is_flooded(self) -> bool:
        """Whether more is waiting than one load takes."""
        return self.waiting()["bytes"] > _BATCH_BYTES

    def _run(self, signal: str) -> None:
        """Interrupted batches come first: until they are complete it is unknown which segments are new."""
        lane = self._lanes[signal]
        recovery = Recovery(self._store, self._data_dir, signal)
        journals = [Journal(self._data_dir, signal, self._durable, number) for number in range(_THREADS[signal])]
        for journal in journals:
            self._insist(lane, lambda: self._resume(lane, journal, recovery))  # noqa: B023, done before the next
        for journal in journals[1:]:
            self._start(self._help, signal, journal)
        merges = Merges(self._store) if signal == "traces" else None
        while segments := self._take(signal, lane):
            started = time.monotonic()
            self._insist(lane, lambda: self._load(lane, journals[0], recovery, segments))
            if merges is not None:
                self._insist(lane, lambda: merges.after_load(lane.holds >= _BATCH_BYTES))
            self._rest(lane, time.monotonic() - started)

    def _help(self, signal: str, journal: Journal) -> None:
        """Loads beside `_run` while more is waiting than one load takes."""
        lane = self._lanes[signal]
        recovery = Recovery(self._store, self._data_dir, signal)
        while segments := self._take_of_flood(lane):
            self._insist(lane, lambda: self._load(lane, journal, recovery, segments))

    def _rest(self, lane: _Lane, worked_s: float) -> None:
        """Makes batches grow with the load. No wait when a batch is full or a flush is pending."""
        pause = max(min(_APART * worked_s, _LONGEST_APART_S) - worked_s, min(worked_s, _LONGEST_REST_S))
        with self._changed:
            self._changed.wait_for(lambda: self._stop or self._drains > 0 or lane.holds >= _BATCH_BYTES, pause)

    def _take(self, signal: str, lane: _Lane) -> list[spool.Segment]:
        """The next batch; nothing when the loader stops."""
        with self._changed:
            empty = not lane.queue
        if empty:
            self._want(signal)
        with self._changed:
            self._changed.wait_for(lambda: self._stop or lane.queue)
            return [] if self._stop else lane.take()

    def _take_of_flood(self, lane: _Lane) -> list[spool.Segment]:
        with self._changed:
            self._changed.wait_for(lambda: self._stop or lane.holds >= _FLOOD_BYTES)
            return [] if self._stop else lane.take()

    def _insist(self, lane: _Lane, attempt: Callable[[], object]) -> None:
        """Tries until it works or the loader stops; ClickHouse may be away for hours."""
        pause = 0.1
        while not self._stop:
            try:
                attempt()
                return
            except (StoreError, OSError) as exc:
                self._note_retry(lane, public_message(exc))
                log.warning("a batch could not be loaded, trying again: %s", exc)
            except Exception as exc:  # the thread must survive whatever it meets, and say so
                self._note_retry(lane, public_message(exc))
                log.exception("a batch could not be loaded, trying again")
            with self._changed:
                self._changed.wait_for(lambda: self._stop, pause)
            pause = min(pause * 2, _MAX_BACKOFF_S)

    def _note_retry(self, lane: _Lane, error: str) -> None:
        with self._changed:
            lane.progress.retries += 1
            lane.progress.last_error = error

    def _load(self, lane: _Lane, journal: Journal, recovery: Recovery, segments: Sequence[spool.Segment]) -> None:
        """A fresh batch, or, after a failure in between, what is missing of it."""
        if not self._resume(lane, journal, recovery):
            paths = [segment.path for segment in segments if salvage.intact(self._data_dir, segment)]
            if paths:
                self._insert(segments[0].signal, journal, paths)
        self._done(lane, segments)

    def _insert(self, signal: str, journal: Journal, paths: Sequence[Path]) -> None:
        batch = f"{time.time_ns() // 1_000_000:012x}-{secrets.token_hex(4)}"
        journal.begin(batch, paths)
        for target in targets.of(signal, paths):
            self._feed.insert(Load(target, paths, batch, f"{batch}:{target.table}"))
        journal.end(paths)

    def _resume(self, lane: _Lane, journal: Journal, recovery: Recovery) -> bool:
        """Completes the batch that was being loaded when this process or an earlier one was interrupted, if any."""
        pending = journal.pending()
        if pending is None:
            return False
        segments = [path for path in pending.segments if salvage.mend(self._data_dir, recovery.signal, path)]
        buried = recovery.complete(pending.batch, segments)
        journal.end(pending.segments)
        with self._changed:
            lane.progress.buried += buried
            lane.queue = deque(segment for segment in lane.queue if segment.path not in pending.segments)
            lane.known.difference_update(pending.segments)
            self._changed.notify_all()
        return True

    def _done(self, lane: _Lane, segments: Sequence[spool.Segment]) -> None:
        with self._changed:
            lane.progress.batches += 1
            lane.progress.items += sum(segment.items for segment in segments)
            lane.progress.bytes += sum(segment.size for segment in segments)
            lane.known.difference_update(segment.path for segment in segments)
            lane.loading.pop(segments[0].path, None)
            self._changed.notify_all()
        self._on_loaded(segments[0].signal)
