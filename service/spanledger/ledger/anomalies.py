"""Table trace_anomalies: anomalies that show only between spans (books/anomalies.py), as of the last settlement."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter

from spanledger.books.anomalies import Anomaly
from spanledger.ledger.scope import Scope
from spanledger.store.client import Store

_STORED = """
SELECT tenant, trace_id, span_id, field, kind, reason, toUnixTimestamp64Nano(started_at), service, dialect
FROM {shards:Identifier}.trace_anomalies FINAL
WHERE deleted = 0 AND (tenant, trace_id) IN (SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String})
"""


_COLUMNS = [f.name.removesuffix("_ns") for f in fields(Anomaly)] + ["version", "deleted"]
_values = attrgetter(*(f.name for f in fields(Anomaly)))


def differing(store: Store, run_id: str, should: Iterable[Anomaly]) -> tuple[list[Anomaly], list[Anomaly]]:
    """What table trace_anomalies lacks about the traces in settle_work, and what it has too much."""
    wanted = {_key(anomaly): anomaly for anomaly in should}
    rows = store.query(_STORED, {"run": run_id, "shards": store.all_shards})
    stored = {_key(anomaly): anomaly for anomaly in (Anomaly(*row) for row in rows)}
    missing = [anomaly for key, anomaly in wanted.items() if stored.get(key) != anomaly]
    gone = [anomaly for key, anomaly in stored.items() if key not in wanted]
    return sorted(missing, key=_values), sorted(gone, key=_values)


def upsert(store: Store, run_id: str, should: Iterable[Anomaly]) -> None:
    """Brings table trace_anomalies up to date for the traces in settle_work."""
    add(store, *differing(store, run_id, should))


def add(store: Store, missing: Sequence[Anomaly], gone: Sequence[Anomaly] = ()) -> None:
    """Writes anomalies, and removes others."""
    if missing or gone:
        version = store.versions.next()
        rows = [[*_values(anomaly), version, 0] for anomaly in missing]
        rows += [[*_values(anomaly), version, 1] for anomaly in gone]
        store.insert(f"{store.all_shards}.trace_anomalies", _COLUMNS, rows, settings={"insert_deduplicate": 0})


def counts(store: Store, scope: Scope) -> dict[str, int]:
    """How many anomalies of each `kind:field` the spans of a scope have, most frequent first."""
    sql = f"""
        SELECT concat(kind, ':', field) AS name, toInt64(count()) FROM {{shards:Identifier}}.anomalies
        WHERE {scope.spans()}
        GROUP BY name ORDER BY count() DESC, name
    """
    return dict(store.query(sql, {**scope.params, "shards": store.all_shards}))


def _key(anomaly: Anomaly) -> tuple[str, ...]:
    return anomaly.tenant, anomaly.trace_id, anomaly.span_id, anomaly.field, anomaly.kind
