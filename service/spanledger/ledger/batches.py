"""The batch of a settlement: touched traces from the queue, and other traces that may hold copies of their calls.

Table settle_work lists the traces of every settlement that is running, so that two settlers on one server do not work
on the same traces: a settler that finds one of its traces in the list of another discards its batch and takes a new
one. If both work on the same trace anyway, because one of them is slow, no figure is wrong (settler.py)."""

import logging
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spanledger.errors import SpanledgerError
from spanledger.ledger import giants, left_out, spans
from spanledger.ledger.copy_lookup import MAX_ROUNDS, CopyLookup, Note, Trace, keys_run
from spanledger.ledger.suspects import BatchFailed
from spanledger.ledger.work import COLUMNS as WORK_COLUMNS
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

log = logging.getLogger(__name__)

BATCH_SPANS = 40_000  # that a batch should have: each has a price of its own, however small it is
BATCH_TRACES = 4_000  # of the first one; then as many as should have that many spans
_MOST_TRACES = 20_000
_TRIES, _LONGEST_PAUSE_S = 5, 0.1
GIVEN_UP_S = 600  # a run that stands in settle_work longer, or is from the future, belongs to a process that died


def _ignore_truncation() -> None:
    """The caller needs no note."""


def new_run() -> str:
    """A run's id; it begins with the second of its start."""
    return f"{int(time.time())}-{uuid.uuid4().hex[:20]}"


FIRST: Trace = ("", "")  # before all others


@dataclass
class Batch:
    """Touched traces taken from the queue, with their spans and those of the traces that may hold copies.

    On one shard of a cluster the queue's traces lie on this shard; those with copies may lie on any.
    """

    run_id: str
    touched: Sequence[tuple[str, str, int]]  # tenant, trace id, and what the queue says is pending of it
    chunk: "Chunk"
    whole: bool  # nothing else was waiting
    full: bool  # it holds as many traces as requested

    @property
    def traces(self) -> int:
        """How many of the queue's."""
        return len(self.touched)

    @property
    def fitting(self) -> int:
        """How many traces like these a batch should have; never many more than these."""
        spans = max(int(self.chunk.spans.num_rows), 1)
        return max(1, min(_MOST_TRACES, 2 * max(self.traces, BATCH_TRACES), BATCH_SPANS * self.traces // spans))

    @property
    def last(self) -> Trace:
        tenant, trace_id, _ = self.touched[-1]
        return tenant, trace_id

    @property
    def alone(self) -> bool:
        """No other trace took part."""
        return len(self.chunk.traces) == self.traces


@dataclass(frozen=True)
class Chunk:
    """Spans of whole traces, each span once, and those traces; `waiting_since_ms`: when the first span came that was
    read now for the first time, None when there was none; `is_closed`: all copies of their calls are among them, and no
    other run worked on one of these traces when they were looked for."""

    spans: pa.Table
    traces: frozenset[Trace]
    waiting_since_ms: int | None
    is_closed: bool


def take(
    store: Store,
    limit: int = BATCH_TRACES,
    note: Note = _ignore_truncation,
    after: Trace = FIRST,
    aside: Sequence[Trace] = (),
) -> Batch | None:
    """Reads the next batch, leaving out `aside` and traces that another batch in hand works on; None when nothing is
    pending. Raises StoreError, BatchFailed.

    Traces come in the order of their ids, as they lie in the tables: a batch of a long queue then reads one stretch of
    them and not a bit of everything. It goes on behind `after`, and at the end begins again: none waits for ever.
    """
    claimed = _claimed(store, limit, after, aside)
    if claimed is None and after != FIRST:
        after = FIRST
        claimed = _claimed(store, limit, after, aside)
    if claimed is None:
        return None
    run_id, touched = claimed
    try:
        try:
            chunk = _newly_read(store, run_id, touched, note, giants.few())
        except spans.TooMany:
            touched = _without_giants(store, run_id, touched)
            chunk = _newly_read(store, run_id, touched, note, 0)
    except SpanledgerError:
        forget(store, run_id)
        raise
    except Exception as exc:
        forget(store, run_id)
        raise BatchFailed([(tenant, trace_id) for tenant, trace_id, _ in touched]) from exc
    full = len(touched) >= limit
    return Batch(run_id, touched, chunk, whole=after == FIRST and not full, full=full)


def _newly_read(store: Store, run_id: str, touched: Sequence[tuple[str, str, int]], note: Note, at_most: int) -> Chunk:
    traces = {(tenant, trace_id) for tenant, trace_id, _ in touched}
    return read_chunk(store, run_id, traces, note, mostly_new=True, at_most=at_most)


def _without_giants(store: Store, run_id: str, touched: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Excludes traces that have too many spans from the run and from the queue."""
    too_large = giants.leave_out(store, run_id)
    if not too_large:
        return touched
    giants.record(store, too_large)
    dequeue(store, [one for one in touched if one[:2] in too_large], f"large-{run_id}")
    log.warning("%d traces have too many spans to be settled; view anomalies names them", len(too_large))
    return [one for one in touched if one[:2] not in too_large]


def dequeue(store: Store, touched: Sequence[tuple[str, str, int]], token: str) -> None:
    """Removes traces from settle_queue. `token`: for deduplication; each run needs its own, because equal blocks of two
    runs are no repetition."""
    store.insert(
        "settle_queue",
        ("tenant", "trace_id", "pending"),
        [(tenant, trace_id, -pending) for tenant, trace_id, pending in touched],
        settings={"insert_deduplication_token": token},
    )


def _claimed(
    store: Store, limit: int, after: Trace, aside: Sequence[Trace]
) -> tuple[str, list[tuple[str, str, int]]] | None:
    """Traces that stand in settle_work under a new run and under no other; None when nothing is pending, or others were
    faster each time."""
    for _ in range(_TRIES):
        touched = _touched(store, limit, after, aside)
        if not touched:
            return None
        run_id = new_run()
        try:
            store.insert("settle_work", WORK_COLUMNS, [[run_id, 0, tenant, trace] for tenant, trace, _ in touched])
            if store.embedded or not _is_contested(store, run_id):
                return run_id, touched
        except SpanledgerError:
            forget(store, run_id)
            raise
        forget(store, run_id)
        time.sleep(random.uniform(0.0, _LONGEST_PAUSE_S))  # two that looked at once do not look at once again
    return None


def _is_contested(store: Store, run_id: str) -> bool:
    """Whether one of the run's traces stands in settle_work under another run too."""
    return bool(store.query(_CONTESTED, {"run": run_id, "given_up": GIVEN_UP_S}, settings=ALONE))


def _touched(store: Store, limit: int, after: Trace, aside: Sequence[Trace]) -> list[tuple[str, str, int]]:
    tenant, trace_id = after
    parameters: dict[str, Any] = {"limit": limit, "given_up": GIVEN_UP_S, "tenant": tenant, "trace_id": trace_id}
    parameters |= left_out.parameters(aside)
    rows = store.query(_TOUCHED, parameters, settings=ALONE)
    return [(tenant, trace_id, pending) for tenant, trace_id, pending in rows]


_BY_THE_LIVING = "abs(toInt64OrZero(splitByChar('-', run_id)[1]) - toUnixTimestamp(now())) < {given_up:UInt32}"
_IN_HAND = f"SELECT 1 FROM settle_work WHERE {_BY_THE_LIVING} LIMIT 1"
_TOUCHED = f"""
SELECT tenant, trace_id, sum(pending) AS open
FROM settle_queue
WHERE (tenant, trace_id) > ({{tenant:String}}, {{trace_id:String}}) AND (tenant, trace_id) NOT IN
    (
        SELECT tenant, trace_id FROM settle_work WHERE {_BY_THE_LIVING}
    )
    AND {left_out.condition()}
GROUP BY tenant, trace_id
HAVING open != 0
ORDER BY tenant, trace_id
LIMIT {{limit:UInt32}}
"""


_CONTESTED = f"""
SELECT 1 FROM settle_work
WHERE run_id != {{run:String}} AND {_BY_THE_LIVING}
    AND (tenant, trace_id) IN (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}})
LIMIT 1
"""


def forget(store: Store, run_id: str) -> None:
    """Clears settle_work of a run."""
    runs = [run_id, keys_run(run_id)]
    store.command("ALTER TABLE settle_work DELETE WHERE run_id IN {runs:Array(String)}", {"runs": runs})


def in_hand(store: Store) -> bool:
    """Whether any settler works on anything. What is posted twice meanwhile is put right only after its end."""
    return bool(store.query(_IN_HAND, {"given_up": GIVEN_UP_S}, settings=ALONE))


def work_of(store: Store, run_id: str) -> set[Trace]:
    """The traces that stand in settle_work under a run."""
    return set(store.query("SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String}", {"run": run_id}))


def read_chunk(
    store: Store,
    run_id: str,
    traces: set[Trace],
    note: Note = _ignore_truncation,
    mostly_new: bool = False,
    at_most: int = 0,
) -> Chunk:
    """The spans of `traces` (which stand in settle_work) and of those that may hold copies of their calls, then of
    those that may hold copies of these, and so on. `mostly_new`, `at_most`: of spans.read, for `traces`."""
    lookup = CopyLookup(store, run_id)
    found, since_ms = spans.read(store, run_id, mostly_new=mostly_new, at_most=at_most)
    table, known = found.spans, set(traces)
    newest = lookup.beside(traces, found.with_keys)
    is_closed = True
    for round_ in range(1, MAX_ROUNDS + 1):
        if not newest:
            break
        known |= newest
        work = [[run_id, round_, tenant, trace_id] for tenant, trace_id in sorted(newest)]
        store.insert("settle_work", WORK_COLUMNS, work)
        newest = lookup.beside_round(newest, round_) if round_ < MAX_ROUNDS else newest
    else:
        is_closed = False
        note()
        log.warning("settlement stopped looking for copies of calls after %d rounds", MAX_ROUNDS)
    if len(known) > len(traces):
        is_closed = is_closed and store.all_shards == store.database and not _is_contested(store, run_id)
        try:
            others, _ = spans.read(store, run_id, from_round=1, at_most=giants.few())
        except spans.TooMany:
            known -= giants.leave_out(store, run_id, from_round=1).keys()
            others, _ = spans.read(store, run_id, from_round=1)
        table = pa.concat_tables([table, others.spans]).sort_by(spans.ORDER)
    return Chunk(table, frozenset(known), since_ms, is_closed)
