"""Finds the traces that may hold copies of the calls of a batch, by the keys of table call_keys."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from spanledger.books import copy_keys
from spanledger.books.copies import REUSED_ID, TOLERANCE_NS
from spanledger.books.forest import one_chunk, values_of
from spanledger.ledger.work import OF_RUN, rows_of
from spanledger.store import migrate
from spanledger.store.client import Params, Store
from spanledger.store.threads import ALONE

Trace = tuple[str, str]  # tenant, trace id
Note = Callable[[], None]  # called when a run stopped looking for copies
_TOLERANCE_MS = TOLERANCE_NS // 1_000_000
MAX_ROUNDS = 8  # of the search for copies of copies; a run that reaches it continues with what it found, and logs it

_SHARED_KEYS = f"""
SELECT tenant, {copy_keys.SQL_IS_SURE} AS surely,
    if(surely = 1, key, {copy_keys.SQL_LIKENESS}) AS shared,
    groupArray((trace, scope, {copy_keys.SQL_MINUTE} * 60000 + start_ms AS since, since + duration_ms)) AS tellings
FROM {{shards:Identifier}}.call_keys
{rows_of(OF_RUN, "key")}
GROUP BY tenant, surely, shared
HAVING uniqExact(trace) > 1 AND if(surely = 1, uniqExact(trace) <= {{reused:UInt32}}, uniqExact(scope) > 1)
"""
# A call is looked for in the minute of its start and in those beside it.
_KEYS_OF_ROUND = f"""
INSERT INTO settle_work (run_id, tenant, key)
WITH frontier AS
    (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}} AND round = {{round:UInt8}}),
    toUInt64(greatest(toUnixTimestamp64Second(started_at), 60)) DIV 60 AS minute
SELECT {{keys_run:String}}, tenant, arrayJoin(arrayConcat(same_keys, arrayMap(
    away -> {copy_keys.SQL_OF_LIKENESS.format(minute="toUInt64(minute + away)", likeness="likeness")},
    if(likeness = 0, [], [-1, 0, 1])))) AS key
FROM {{shards:Identifier}}.genai_spans
{rows_of("frontier")}
"""
NAMES = """
SELECT tenant, trace, trace_id FROM {shards:Identifier}.call_keys
WHERE tenant IN {tenants:Array(String)} AND key IN {keys:Array(UInt64)}
"""

Telling = tuple[int, str, int, int]  # a trace by its hash, scope, start and end in ms
Shared = tuple[str, int, int, list[Telling]]  # tenant, whether surely the same, a key (of likeness without its minute)


def keys_run(run_id: str) -> str:
    """The run under which the keys that a run looks for stand in settle_work; it works on no trace."""
    return f"keys:{run_id}"


def forget_keys(store: Store, run: str) -> None:
    """Clears settle_work of the keys of a `keys_run`."""
    store.command("ALTER TABLE settle_work DELETE WHERE run_id = {run:String}", {"run": run})


class CopyLookup:
    """The traces that may hold copies of the calls in a run's traces."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run = run_id
        self._traces: set[Trace] = set()
        self._names: dict[tuple[str, int], set[Trace]] = {}  # by hash; seldom more than one
        self._shares: set[tuple[str, int, int]] = set()  # tenant, hash and shared key of our own traces

    def beside(self, traces: Collection[Trace], spans: pa.Table) -> set[Trace]:
        """The traces beside `traces` that may hold copies of the calls in `spans`, which are theirs and at hand."""
        self._note(traces)
        keys = copy_keys.keys_of(spans)
        if not len(keys.key):
            return set()
        shared = self._shared_at_hand(spans, keys.looked_for())
        self._note_shares(spans, keys, {group[2] for group in shared})
        return self._found(shared)

    def beside_round(self, traces: Collection[Trace], round_: int) -> set[Trace]:
        """The same for traces that stand in settle_work under a round and have not been read: their keys are computed
        where they lie."""
        self._note(traces)
        run = keys_run(self._run)
        parameters = {"run": self._run, "keys_run": run, "round": round_, "shards": self._store.all_shards}
        self._store.command(_KEYS_OF_ROUND, parameters, settings=ALONE)
        return self._found(self._shared(run))

    def _found(self, shared: Collection[Shared]) -> set[Trace]:
        self._find_names(shared)
        found: set[Trace] = set()
        for tenant, surely, _, tellings in shared:
            looked_up = tellings if surely else self._at_once(tenant, tellings)
            found.update(trace for telling in looked_up for trace in self._names.get((tenant, telling[0]), ()))
        return found - self._traces

    def _note(self, traces: Collection[Trace]) -> None:
        ordered = sorted(set(traces) - self._traces)
        numbers = copy_keys.of_traces(pa.array([trace_id for _, trace_id in ordered], pa.string())).tolist()
        for trace, number in zip(ordered, numbers, strict=True):
            self._names.setdefault((trace[0], number), set()).add(trace)
        self._traces.update(ordered)

    def _shared_at_hand(self, spans: pa.Table, keys: copy_keys.Keys) -> Collection[Shared]:
        """What calls beside ours, or several of ours, have in common."""
        run = keys_run(self._run)
        work = pa.table(
            {
                "run_id": pa.repeat(run, len(keys.key)),
                "tenant": one_chunk(spans["tenant"]).take(pa.array(keys.row)),
                "key": pa.array(keys.key),
            }
        )
        self._store.insert_arrow("settle_work", work)
        return self._shared(run)

    def _shared(self, run: str) -> Collection[Shared]:
        """The same for the keys that stand in settle_work under a `keys_run`, which are cleared."""
        parameters = {"run": run, "reused": REUSED_ID, "shards": self._store.all_shards}
        shared: list[Any] = self._store.query(_SHARED_KEYS, parameters, settings=ALONE)
        forget_keys(self._store, run)
        return shared

    def _note_shares(self, spans: pa.Table, keys: copy_keys.Keys, shared: set[int]) -> None:
        """Which of our traces have the shared keys."""
        without_minute = np.where(keys.is_likeness, keys.key & np.uint64(copy_keys.LIKENESS), keys.key)
        some = np.isin(without_minute, np.array(sorted(shared), np.uint64))
        rows = spans.select(["tenant", "trace_id"]).take(pa.array(keys.row[some]))
        numbers = copy_keys.of_traces(rows["trace_id"]).tolist()
        self._shares.update(zip(values_of(rows["tenant"]), numbers, without_minute[some].tolist(), strict=True))

    def _find_names(self, shared: Iterable[Shared]) -> None:
        """Of traces that are none of ours, or have a key that none of ours with the same hash has."""
        unknown = {
            (tenant, telling[0])
            for tenant, _, key, tellings in shared
            for telling in tellings
            if (tenant, telling[0], key) not in self._shares
        }
        if not unknown:
            return
        parameters = {
            "shards": self._store.all_shards,
            "tenants": sorted({tenant for tenant, _ in unknown}),
            "keys": sorted({copy_keys.of_trace(trace) for _, trace in unknown}),
        }
        for tenant, trace, trace_id in self._store.query(NAMES, parameters):
            self._names.setdefault((tenant, trace), set()).add((tenant, trace_id))

    def _at_once(self, tenant: str, tellings: Iterable[Telling]) -> list[Telling]:
        """Traces that may report a call of ours: another instrumentation, at the same time."""
        ours = [t for t in tellings if not self._traces.isdisjoint(self._names.get((tenant, t[0]), ()))]
        by_scope: dict[str, list[Telling]] = defaultdict(list)
        for telling in tellings:
            by_scope[telling[1]].append(telling)
        return [
            telling
            for scope, some in by_scope.items()
            for telling in _during(some, [(start, end) for _, theirs, start, end in ours if theirs != scope])
        ]


def _during(tellings: Iterable[Telling], times: Iterable[tuple[int, int]]) -> Iterator[Telling]:
    """Those during which one of these times was, give or take the tolerance."""
    ordered = sorted(times)
    starts = [start for start, _ in ordered]
    latest = list(accumulate((end for _, end in ordered), max))  # end of those that began until then
    for telling in tellings:
        begun = bisect_right(starts, telling[3] + _TOLERANCE_MS)
        if begun and latest[begun - 1] + _TOLERANCE_MS >= telling[2]:
            yield telling


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
