"""Finds the traces that may hold copies of the calls of a batch, by the keys of table call_keys."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from spanledger.books import copy_keys
from spanledger.books.copies import REUSED_ID, TOLERANCE_NS
from spanledger.store import migrate
from spanledger.store.client import Params, Store

log = logging.getLogger(__name__)

Trace = tuple[str, str]  # tenant, trace id
Note = Callable[[], None]  # called when a run stopped looking for copies
_TOLERANCE_MS = TOLERANCE_NS // 1_000_000
MAX_ROUNDS = 8  # of looking for copies of copies; beyond it a run goes on with what it has, and says so
ALONE = {"max_threads": 1}  # for questions that are over before threads have shared them out: a third of the time
WORK_COLUMNS = ("run_id", "round", "tenant", "trace_id")  # of table settle_work

# A call is looked for in the minute of its start and in those beside it.
_SHARED_KEYS = f"""
WITH frontier AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}} AND round = {{round:UInt8}})
SELECT tenant, {copy_keys.SQL_IS_SURE} AS surely,
    groupArray((trace, scope, {copy_keys.SQL_MINUTE} * 60000 + start_ms AS since, since + duration_ms)) AS tellings
FROM {{shards:Identifier}}.call_keys
WHERE (tenant, key) IN
    (
        WITH toUInt64(greatest(toUnixTimestamp64Second(started_at), 60)) DIV 60 AS minute
        SELECT tenant, arrayJoin(arrayConcat(same_keys, arrayMap(
            away -> {copy_keys.SQL_OF_LIKENESS.format(minute="toUInt64(minute + away)", likeness="likeness")},
            if(likeness = 0, [], [-1, 0, 1]))))
        FROM {{shards:Identifier}}.genai_spans
        WHERE (tenant, trace_id) IN frontier AND trace_id IN (SELECT trace_id FROM frontier)
    )
GROUP BY tenant, surely, if(surely = 1, key, {copy_keys.SQL_LIKENESS})
HAVING uniqExact(trace) > 1 AND if(surely = 1, uniqExact(trace) <= {{reused:UInt32}}, uniqExact(scope) > 1)
"""
_NAMES = """
SELECT tenant, trace, trace_id FROM {shards:Identifier}.call_keys
WHERE tenant IN {tenants:Array(String)} AND key IN {keys:Array(UInt64)}
"""

Telling = tuple[int, str, int, int]  # a trace by its hash, scope, start and end in ms
Names = Mapping[tuple[str, int], Collection[Trace]]  # by tenant and hash; seldom more than one


def add_copies(store: Store, run_id: str, known: set[Trace], note: Note) -> bool:
    """Adds to `known` and settle_work the traces that may hold copies of the calls at hand, and copies of those;
    whether there were any."""
    for round_ in range(MAX_ROUNDS):
        found = _found(store, run_id, round_, known) - known
        if not found:
            return round_ > 0
        known |= found
        work = [[run_id, round_ + 1, tenant, trace_id] for tenant, trace_id in sorted(found)]
        store.insert("settle_work", WORK_COLUMNS, work)
    note()
    log.warning("settlement stopped looking for copies of calls after %d rounds", MAX_ROUNDS)
    return True


def _found(store: Store, run_id: str, round_: int, known: set[Trace]) -> set[Trace]:
    """The traces that may hold copies of the calls in traces of this round."""
    parameters = {"run": run_id, "round": round_, "reused": REUSED_ID, "shards": store.all_shards}
    shared = store.query(_SHARED_KEYS, parameters, settings=ALONE)
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
        "keys": sorted({copy_keys.of_trace(trace) for _, trace in hashes}),
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
    waiting = "SELECT tenant, trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0"
    add_keys(store, f"(s.tenant, s.trace_id) IN ({waiting})")


def add_keys(store: Store, condition: str, params: Params | None = None) -> None:
    """Writes the keys of the spans `s` that meet a condition; those that are there already make no difference."""
    view = next(view.statement for view in migrate.files("views") if view.name == "call_keys_mv")
    store.command(
        "INSERT INTO call_keys (tenant, key, trace, trace_id, scope, start_ms, duration_ms)\n"
        f"{view.split('TO call_keys AS', 1)[1].strip()}\nWHERE {condition}",
        params,
        settings={"insert_deduplicate": 0},
    )
