"""Traces with so many spans that to settle them would take gigabytes.

A whole trace is read at a time, because any of its spans may report a call of another. A sender that gives all its
spans one trace id would bring the process down. Such a trace is not settled: it stands in view `anomalies`, and audit
says so. What was settled before it grew so large stays in the books.
"""

import time
from collections.abc import Mapping, Sequence

from spanledger.books.anomalies import Anomaly
from spanledger.ledger import anomalies
from spanledger.ledger.copy_lookup import ALONE, Trace
from spanledger.store.client import Store

MOST_SPANS = 250_000

CONDITION = (  # of the others
    " AND ({tenant}, {trace}) NOT IN (SELECT arrayJoin(arrayZip({{left_out_tenants:Array(String)}}, "
    "{{left_out_traces:Array(String)}})))"
)
_KIND = "too_large"
_FOUND = """
WITH work AS (SELECT tenant, trace_id FROM settle_work WHERE run_id = {{run:String}} AND round >= {{round:UInt8}})
SELECT tenant, trace_id, {count} AS spans
FROM {{shards:Identifier}}.genai_spans
WHERE (tenant, trace_id) IN work AND trace_id IN (SELECT trace_id FROM work)
GROUP BY tenant, trace_id
HAVING spans > {{most:UInt64}}
"""
# A span has several rows until they are merged. To count rows is cheap, so it is done first.
_ROWS, _SPANS = (_FOUND.format(count=count) for count in ("count()", "uniqExact(span_id)"))
_FORGET = """
ALTER TABLE settle_work DELETE WHERE run_id = {run:String} AND round >= {round:UInt8} AND tenant = {tenant:String}
    AND trace_id = {trace:String}
"""


def leave_out(store: Store, run_id: str, from_round: int = 0) -> dict[Trace, int]:
    """Takes such traces out of the run (rounds ≥ `from_round`); their numbers of spans."""
    shards = store.all_shards if from_round else store.database
    parameters = {"run": run_id, "round": from_round, "shards": shards, "most": MOST_SPANS}
    if not store.query(_ROWS, parameters, settings=ALONE):
        return {}
    found = {(tenant, trace): spans for tenant, trace, spans in store.query(_SPANS, parameters, settings=ALONE)}
    for tenant, trace in found:
        store.command(_FORGET, {"run": run_id, "round": from_round, "tenant": tenant, "trace": trace})
    return found


def record(store: Store, found: Mapping[Trace, int]) -> None:
    """Makes them show in view `anomalies`."""
    anomalies.add(store, [_anomaly(trace, spans) for trace, spans in found.items()])


def recorded(store: Store) -> list[Trace]:
    """The traces that are not settled for this reason."""
    sql = (
        "SELECT DISTINCT tenant, trace_id FROM {shards:Identifier}.trace_anomalies FINAL "
        "WHERE deleted = 0 AND kind = {kind:String}"
    )
    return [(tenant, trace) for tenant, trace in store.query(sql, {"shards": store.all_shards, "kind": _KIND})]


def parameters(left_out: Sequence[Trace]) -> dict[str, list[str]]:
    """Those of CONDITION."""
    return {"left_out_tenants": [tenant for tenant, _ in left_out], "left_out_traces": [trace for _, trace in left_out]}


def reason(spans: int) -> str:
    return f"{spans} spans; a trace of more than {MOST_SPANS} is not settled"


def _anomaly(trace: Trace, spans: int) -> Anomaly:
    return Anomaly(*trace, "", "trace", _KIND, reason(spans), time.time_ns(), "", "")
