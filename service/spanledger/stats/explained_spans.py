"""The spans behind calls: read as settlement reads them, and read again from what was received."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from spanledger.books import copy_keys
from spanledger.books.copies import REUSED_ID, TOLERANCE_NS
from spanledger.dialects.interpreter import SpanFacts
from spanledger.dialects.origins import Origin, origins
from spanledger.dialects.tables import RESOURCE
from spanledger.ledger import spans
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.store.threads import ALONE, threads_for

SpanKey = tuple[str, str]  # trace and span id
_ROUNDS = 8  # of looking for copies of copies, as settlement does
_TOLERANCE_MS = TOLERANCE_NS // 1_000_000
_NAMES = """
SELECT DISTINCT trace_id FROM {shards:Identifier}.call_keys
WHERE tenant = {tenant:String} AND key IN {keys:Array(UInt64)}
"""
_CANONICAL = f"""
SELECT {spans.COLUMNS}
FROM {{shards:Identifier}}.genai_spans
WHERE tenant = {{tenant:String}} AND trace_id IN {{trace_ids:Array(String)}}
ORDER BY tenant, trace_id, span_id, version DESC
LIMIT 1 BY tenant, trace_id, span_id
"""
_TELLINGS = f"""
SELECT key, trace, scope::String, toInt64({copy_keys.SQL_MINUTE}) * 60000 + start_ms AS since, since + duration_ms
FROM {{shards:Identifier}}.call_keys
WHERE tenant = {{tenant:String}} AND key IN {{keys:Array(UInt64)}} AND trace NOT IN {{known:Array(UInt32)}}
LIMIT {{limit:UInt32}}
"""


def with_copies(store: Store, tenant: str, trace_ids: Collection[str]) -> pa.Table:
    """The canonical spans of whole traces and of those that may hold copies of their calls, as settlement sees them."""
    known, frontier = set(trace_ids), set(trace_ids)
    tables: list[pa.Table] = []
    hashes: set[int] = set()
    for _ in range(_ROUNDS):
        parameters = {"shards": store.all_shards, "tenant": tenant, "trace_ids": sorted(frontier)}
        found = store.arrow(_CANONICAL, parameters, settings=threads_for(frontier))
        hashes |= set(copy_keys.of_traces(found["trace_id"]).tolist())
        frontier = _copies(store, tenant, found, hashes) - known
        tables.append(found)
        if not frontier:
            break
        known |= frontier
    plain, interpreted = spans.interpreted(pa.concat_tables(tables))
    return pa.concat_tables([plain, interpreted]).sort_by(spans.ORDER)


def _copies(store: Store, tenant: str, table: pa.Table, known: set[int]) -> set[str]:
    """Traces beside `known` (by hash) that share a key with these spans: surely the same, or alike and at that time."""
    looked_for = copy_keys.keys_of(table).looked_for()
    alike: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
    times = table.select(["scope", "started_at_ns", "duration_ns"]).take(
        pa.array(looked_for.row[looked_for.is_likeness])
    )
    columns = (column.to_pylist() for column in times.columns)
    for key, scope, start_ns, duration_ns in zip(
        looked_for.key[looked_for.is_likeness].tolist(), *columns, strict=True
    ):
        since = max(start_ns // 1_000_000, 60_000)
        alike[key].append((scope, since, since + duration_ns // 1_000_000 + 2))
    keys = sorted(set(looked_for.key.tolist()))
    if not keys:
        return set()
    place = {"shards": store.all_shards, "tenant": tenant}
    limit = REUSED_ID * len(keys)
    rows = store.query(_TELLINGS, {**place, "keys": keys, "known": sorted(known), "limit": limit}, settings=ALONE)
    found = {trace for key, trace, *telling in rows if copy_keys.is_sure(key) or _at_once(telling, alike[key])}
    if not found:
        return set()
    names = [copy_keys.of_trace(trace) for trace in sorted(found)]
    return {row[0] for row in store.query(_NAMES, {**place, "keys": names}, settings=ALONE)}


def _at_once(telling: Sequence[Any], ours: Sequence[tuple[str, int, int]]) -> bool:
    """Whether another instrumentation tells of a call at the time of one of ours."""
    scope, since, until = telling
    return any(
        scope != own and since <= own_until + _TOLERANCE_MS and own_since <= until + _TOLERANCE_MS
        for own, own_since, own_until in ours
    )


def readings(
    store: Store, tenant: str, wanted: Sequence[Mapping[str, Any]]
) -> dict[SpanKey, tuple[list[Origin], dict[str, Any]]]:
    """Per span the attributes that gave its facts, and those facts, from the raw spans; nothing where retention has
    removed them. `wanted`: rows with trace_id, span_id, service, started_at_ns."""
    if not wanted:
        return {}
    starts = [row["started_at_ns"] for row in wanted]
    parameters = {
        "tenant": tenant,
        "trace_ids": sorted({row["trace_id"] for row in wanted}),
        "span_ids": sorted({row["span_id"] for row in wanted}),
        "services": sorted({row["service"] for row in wanted}),
        "first_ns": min(starts),
        "last_ns": max(starts),
    }
    rows = store.dicts(queries.sql("raw_facts"), parameters, settings=threads_for(parameters["trace_ids"]))
    return {(row["trace_id"], row["span_id"]): origins(_facts_of(row)) for row in rows}


def _facts_of(row: Mapping[str, Any]) -> SpanFacts:
    """A raw span in the words that the view over otel_traces keeps; keys that no table names do no harm."""
    facts = {key: value for key, value in row["attributes"].items() if value not in ("", "None", "null")}
    facts |= {RESOURCE + key: value for key, value in row["resource"].items() if value}
    facts |= {key: value for key, value in row["events"].items() if value}
    values = {name: row[name] for name in SpanFacts._fields[:6]}
    return SpanFacts(**values, keys=tuple(facts), values=list(facts.values()))
