"""Excludes traces of more than 250,000 spans from settlement.

Settlement reads whole traces, because any span may report a call of another one; this takes 6 kB of memory a call. A
sender that gave all its spans one trace id could exhaust the memory. Settlement records such a trace in view
`anomalies`, and audit reports it as a difference. Entries posted before the trace reached the limit stay in the books.
"""

import time
from collections.abc import Mapping

from spanledger.books.anomalies import Anomaly
from spanledger.ledger import anomalies
from spanledger.ledger.copy_lookup import Trace
from spanledger.ledger.work import rows_of
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

MOST_SPANS = 250_000
FEW = 100_000  # rows; a batch seldom has as many

_KIND = "too_large"
_FOUND = f"""
WITH work AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}} AND round >= {{round:UInt8}})
SELECT tenant, trace_id, <count> AS spans
FROM {{shards:Identifier}}.genai_spans
{rows_of("work")}
GROUP BY tenant, trace_id
HAVING spans > {{most:UInt64}}
"""
# A span has several rows until they are merged. Counting rows is cheap and comes first; only above the limit spans are
# counted exactly.
_ROWS, _SPANS = (_FOUND.replace("<count>", count) for count in ("count()", "uniqExact(span_id)"))
_FORGET = """
ALTER TABLE settle_work DELETE WHERE run_id = {run:String} AND round >= {round:UInt8} AND tenant = {tenant:String}
    AND trace_id = {trace:String}
"""


def few() -> int:
    """So many rows cannot be those of such a trace: reading fewer needs no look for it before."""
    return min(FEW, MOST_SPANS)


def leave_out(store: Store, run_id: str, from_round: int = 0) -> dict[Trace, int]:
    """Deletes these traces from settle_work of the run (rounds ≥ `from_round`); returns their numbers of spans."""
    shards = store.all_shards if from_round else store.database
    parameters = {"run": run_id, "round": from_round, "shards": shards, "most": MOST_SPANS}
    if not store.query(_ROWS, parameters, settings=ALONE):
        return {}
    found = {(tenant, trace): spans for tenant, trace, spans in store.query(_SPANS, parameters, settings=ALONE)}
    for tenant, trace in found:
        store.command(_FORGET, {"run": run_id, "round": from_round, "tenant": tenant, "trace": trace})
    return found


def record(store: Store, found: Mapping[Trace, int]) -> None:
    """Writes an anomaly for each of the traces."""
    anomalies.add(store, [_anomaly(trace, spans) for trace, spans in found.items()])


def recorded(store: Store) -> list[Trace]:
    """The traces that have this anomaly."""
    sql = (
        "SELECT DISTINCT tenant, trace_id FROM {shards:Identifier}.trace_anomalies FINAL "
        "WHERE deleted = 0 AND kind = {kind:String}"
    )
    return [(tenant, trace) for tenant, trace in store.query(sql, {"shards": store.all_shards, "kind": _KIND})]


def reason(spans: int) -> str:
    return f"{spans} spans; a trace of more than {MOST_SPANS} is not settled"


def _anomaly(trace: Trace, spans: int) -> Anomaly:
    return Anomaly(*trace, "", "trace", _KIND, reason(spans), time.time_ns(), "", "")
