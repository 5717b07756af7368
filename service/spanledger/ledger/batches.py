"""What a settlement works on: touched traces from the queue, and the other traces that may hold copies of their calls.

Table settle_work names the traces of every run in hand, so that two settlers on one server do not work on the same
ones. If they do after all, because one is slow or both looked at once, it costs time and no figure (settler.py).
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from spanledger.books.calls import REUSED_ID, TOLERANCE_NS
from spanledger.errors import SpanledgerError
from spanledger.ledger import spans
from spanledger.store import migrate
from spanledger.store.client import Store

log = logging.getLogger(__name__)

BATCH_TRACES = 4_000
GIVEN_UP_S = 600  # a run that stands in settle_work longer, or is from the future, belongs to a process that died
_TOLERANCE_MS = TOLERANCE_NS // 1_000_000
MAX_ROUNDS = 8  # of looking for copies of copies; beyond it a run goes on with what it has, and says so

_ALONE = {"max_threads": 1}  # for questions that are over before threads have shared them out: a third of the time

Note = Callable[[], None]  # called when a run stopped looking for copies


def _quiet() -> None:
    """Nobody wants to know."""


def new_run() -> str:
    """A run's id; it begins with the second of its start."""
    return f"{int(time.time())}-{uuid.uuid4().hex[:20]}"


Trace = tuple[str, str]  # tenant, trace id
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

    @property
    def traces(self) -> int:
        """How many of the queue's."""
        return len(self.touched)

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
    read now for the first time, None when there was none."""

    spans: pa.Table
    traces: frozenset[Trace]
    waiting_since_ms: int | None


def take(store: Store, limit: int = BATCH_TRACES, note: Note = _quiet, after: Trace = FIRST) -> Batch | None:
    """Reads the next batch, leaving out traces that another batch in hand works on; None when nothing is pending.

    Traces come in the order of their ids, as they lie in the tables: a batch of a long queue then reads one stretch of
    them and not a bit of everything. It goes on behind `after`, and at the end begins again: none waits for ever.
    """
    touched = _touched(store, limit, after)
    if not touched and after != FIRST:
        after = FIRST
        touched = _touched(store, limit, after)
    if not touched:
        return None
    run_id = new_run()
    try:
        work = [[run_id, 0, tenant, trace_id] for tenant, trace_id, _ in touched]
        store.insert("settle_work", _WORK_COLUMNS, work)
        chunk = read_chunk(store, run_id, {(tenant, trace_id) for tenant, trace_id, _ in touched}, note)
    except SpanledgerError:
        forget(store, run_id)
        raise
    return Batch(run_id, touched, chunk, whole=after == FIRST and len(touched) < limit)


def _touched(store: Store, limit: int, after: Trace) -> list[tuple[str, str, int]]:
    tenant, trace_id = after
    parameters = {"limit": limit, "given_up": GIVEN_UP_S, "tenant": tenant, "trace_id": trace_id}
    rows = store.query(_TOUCHED, parameters, settings=_ALONE)
    return [(tenant, trace_id, pending) for tenant, trace_id, pending in rows]


_BY_THE_LIVING = "abs(toInt64OrZero(splitByChar('-', run_id)[1]) - toUnixTimestamp(now())) < {given_up:UInt32}"
_IN_HAND = f"SELECT 1 FROM settle_work WHERE {_BY_THE_LIVING} LIMIT 1"
_WORK_COLUMNS = ("run_id", "round", "tenant", "trace_id")
_TOUCHED = f"""
SELECT tenant, trace_id, sum(pending) AS open
FROM settle_queue
WHERE (tenant, trace_id) > ({{tenant:String}}, {{trace_id:String}}) AND (tenant, trace_id) NOT IN
    (
        SELECT tenant, trace_id FROM settle_work WHERE {_BY_THE_LIVING}
    )
GROUP BY tenant, trace_id
HAVING open != 0
ORDER BY tenant, trace_id
LIMIT {{limit:UInt32}}
"""


def forget(store: Store, run_id: str) -> None:
    """Clears settle_work of a run."""
    store.command("ALTER TABLE settle_work DELETE WHERE run_id = {run:String}", {"run": run_id})


# Keys are made up as 0011_call_keys.sql says. Who looks for copies finds those that
# would find him: in his own minute and in those beside it.
_SHARED_KEYS = """
WITH frontier AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String} AND round = {round:UInt8})
SELECT tenant, bitShiftRight(key, 63) AS surely,
    groupArray((trace, scope, bitShiftRight(key, 36) * 60000 + start_ms AS since, since + duration_ms)) AS tellings
FROM {shards:Identifier}.call_keys
WHERE (tenant, key) IN
    (
        WITH toUInt64(greatest(toUnixTimestamp64Second(started_at), 60)) DIV 60 AS minute
        SELECT tenant, arrayJoin(arrayConcat(same_keys, arrayMap(
            away -> bitOr(bitShiftLeft(toUInt64(minute + away), 36), likeness),
            if(likeness = 0, [], [-1, 0, 1]))))
        FROM {shards:Identifier}.genai_spans
        WHERE (tenant, trace_id) IN frontier AND trace_id IN (SELECT trace_id FROM frontier)
    )
GROUP BY tenant, surely, if(surely = 1, key, bitAnd(key, 0xfffffffff))
HAVING uniqExact(trace) > 1 AND if(surely = 1, uniqExact(trace) <= {reused:UInt32}, uniqExact(scope) > 1)
"""
_NAMES = """
SELECT tenant, trace, trace_id FROM {shards:Identifier}.call_keys
WHERE tenant IN {tenants:Array(String)} AND key IN {keys:Array(UInt64)}
"""
_NAME_OF_TRACE = 3 << 62

Telling = tuple[int, str, int, int]  # a trace by its hash, scope, start and end in ms
Names = Mapping[tuple[str, int], Collection[Trace]]  # by tenant and hash; seldom more than one


def _add_copies(store: Store, run_id: str, known: set[Trace], note: Note) -> bool:
    """Adds to `known` and settle_work the traces that may hold copies of the calls at hand, and copies of those;
    whether there were any."""
    for round_ in range(MAX_ROUNDS):
        found = _found(store, run_id, round_, known) - known
        if not found:
            return round_ > 0
        known |= found
        work = [[run_id, round_ + 1, tenant, trace_id] for tenant, trace_id in sorted(found)]
        store.insert("settle_work", _WORK_COLUMNS, work)
    note()
    log.warning("settlement stopped looking for copies of calls after %d rounds", MAX_ROUNDS)
    return True


def _found(store: Store, run_id: str, round_: int, known: set[Trace]) -> set[Trace]:
    """The traces that may hold copies of the calls in traces of this round."""
    parameters = {"run": run_id, "round": round_, "reused": REUSED_ID, "shards": store.all_shards}
    shared = store.query(_SHARED_KEYS, parameters, settings=_ALONE)
    names = _names(store, {(tenant, telling[0]) for tenant, _, tellings in shared for telling in tellings})
    found: set[Trace] = set()
    for tenant, surely, tellings in shared:
        told = tellings if surely else _at_once(tenant, tellings, names, known)
        found.update(trace for telling in told for trace in names.get((tenant, telling[0]), ()))
    return found


def _names(store: Store, hashes: set[tuple[str, int]]) -> Names:
    """The traces whose ids have these hashes."""
    if not hashes:
        return {}
    parameters = {
        "shards": store.all_shards,
        "tenants": sorted({tenant for tenant, _ in hashes}),
        "keys": sorted({_NAME_OF_TRACE | trace for _, trace in hashes}),
    }
    names: dict[tuple[str, int], set[Trace]] = {}
    for tenant, trace, trace_id in store.query(_NAMES, parameters):
        names.setdefault((tenant, trace), set()).add((tenant, trace_id))
    return names


def _at_once(tenant: str, tellings: Iterable[Telling], names: Names, known: set[Trace]) -> list[Telling]:
    """Those that may tell of a call of a known trace: by another instrumentation, at the same time."""
    ours = [t for t in tellings if not known.isdisjoint(names.get((tenant, t[0]), ()))]
    return [
        telling
        for telling in tellings
        if any(
            telling[1] != our[1] and telling[2] <= our[3] + _TOLERANCE_MS and our[2] <= telling[3] + _TOLERANCE_MS
            for our in ours
        )
    ]


def complete_keys(store: Store) -> None:
    """Gives call_keys what it lacks of traces that wait for settlement: a kill may fall between a span and its keys."""
    view = next(view.statement for view in migrate.files("views") if view.name == "call_keys_mv")
    waiting = "SELECT tenant, trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0"
    store.command(
        "INSERT INTO call_keys (tenant, key, trace, trace_id, scope, start_ms, duration_ms)\n"
        f"{view.split('TO call_keys AS', 1)[1].strip()}\nWHERE (s.tenant, s.trace_id) IN ({waiting})",
        settings={"insert_deduplicate": 0},
    )


def in_hand(store: Store) -> bool:
    """Whether any settler works on anything. What is posted twice meanwhile is put right only after its end."""
    return bool(store.query(_IN_HAND, {"given_up": GIVEN_UP_S}, settings=_ALONE))


def work_of(store: Store, run_id: str) -> set[Trace]:
    """The traces that stand in settle_work under a run."""
    return set(store.query("SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String}", {"run": run_id}))


def read_chunk(store: Store, run_id: str, traces: set[Trace], note: Note = _quiet) -> Chunk:
    """The spans of `traces` (which stand in settle_work) and of those that may hold copies of their calls."""
    table, since_ms = spans.read(store, run_id)
    known = set(traces)
    if _add_copies(store, run_id, known, note):
        others, _ = spans.read(store, run_id, from_round=1)
        table = pa.concat_tables([table, others]).sort_by(spans.ORDER)
    return Chunk(table, frozenset(known), since_ms)
