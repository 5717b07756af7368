"""What is odd about spans and shows only beside others, or beside the price book: cyclic parents, tellings of one call
that contradict each other, calls without a price.

What is odd about a span by itself stands in genai_spans.anomalies; the view `anomalies` shows both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime

import pyarrow as pa

from spanledger.books.calls import CALL_ROLES, Call, Span
from spanledger.books.costs import Cost
from spanledger.books.inheritance import Context
from spanledger.ledger.rollups import window
from spanledger.store.client import Store

_COUNTED = ("input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True, order=True)
class Anomaly:
    """`field`: what is odd; `kind`: how; `reason`: for people, and what became of it."""

    tenant: str
    trace_id: str
    span_id: str
    field: str
    kind: str
    reason: str
    started_at_ns: int
    service: str
    dialect: str


def anomalies_of(
    table: pa.Table, context: Context, costs: Sequence[tuple[Call, Cost]], spans: dict[int, Span]
) -> list[Anomaly]:
    """Those of some traces; `costs`: the calls that were served, `spans`: by row, those that tell of calls."""
    result = _cut(table, context)
    for call, cost in costs:
        span = spans[call.row]
        result += [_anomaly(span, *odd) for odd in (_of_flag(flag, call) for flag in cost.flags)]
        if len(call.rows) > 1 and (reason := _disagreement([spans[row] for row in call.rows])):
            result.append(_anomaly(span, "usage", "contradiction", reason))
    return result


def _cut(table: pa.Table, context: Context) -> list[Anomaly]:
    """Spans whose parent is below them: they were taken for roots."""
    rows = context.forest.cut
    reason = "the span is its own ancestor; it counts as a root"
    taken = table.take(pa.array(rows)).to_pylist() if len(rows) else []
    return [_anomaly(span, "parent_span_id", "cycle", reason) for span in taken]


def _of_flag(flag: str, call: Call) -> tuple[str, str, str]:
    """Field, kind and reason of what the pricing found odd."""
    word, _, what = flag.partition(":")
    match word:
        case "no_price":
            name = f"{call.provider or 'no provider'} / {call.model or 'no model'}"
            return "model", "unpriced", f"the price book has no price for {name}"
        case "unknown":
            return what, "unpriced", "no span says how many there were, and they cost something"
        case "no_rate":
            return "model", "unpriced", f"the price of {call.model} has no rate for {what}"
        case "no_tier":
            return "service_tier", "no_tier", f"no price for tier {what}; the ordinary one was used"
        case "details_exceed":
            return what, "contradiction", "its parts exceed it; they were cut to fit"
        case _:
            return what, word, "the price book took it as unknown"


def _disagreement(tellings: list[Span]) -> str:
    """What spans that tell of one call say differently of its tokens; '' when they agree."""
    said = {
        (span["input_tokens"], span["output_tokens"]): span["scope"]
        for span in tellings
        if span["role"] in CALL_ROLES and not span["usage_estimated"] and all(span[n] is not None for n in _COUNTED)
    }
    if len(said) < 2:
        return ""
    told = ", ".join(f"{scope or 'a span'}: {i} in, {o} out" for (i, o), scope in sorted(said.items()))
    return f"tellings of one call disagree; the innermost counts ({told})"


def _anomaly(span: Span, field: str, kind: str, reason: str) -> Anomaly:
    ids = (span["tenant"], span["trace_id"], span["span_id"])
    return Anomaly(*ids, field, kind, reason, span["started_at_ns"], span["service"], span["dialect"])


_STORED = """
SELECT tenant, trace_id, span_id, field, kind, reason, toUnixTimestamp64Nano(started_at), service, dialect
FROM {shards:Identifier}.trace_anomalies FINAL
WHERE deleted = 0 AND (tenant, trace_id) IN (SELECT tenant, trace_id FROM settle_work WHERE run_id = {run:String})
"""


_COLUMNS = [f.name.removesuffix("_ns") for f in fields(Anomaly)] + ["version", "deleted"]


def differing(store: Store, run_id: str, should: Iterable[Anomaly]) -> tuple[list[Anomaly], list[Anomaly]]:
    """What table trace_anomalies lacks about the traces in settle_work, and what it has too much."""
    wanted = {_key(anomaly): anomaly for anomaly in should}
    rows = store.query(_STORED, {"run": run_id, "shards": store.all_shards})
    stored = {_key(anomaly): anomaly for anomaly in (Anomaly(*row) for row in rows)}
    missing = [anomaly for key, anomaly in wanted.items() if stored.get(key) != anomaly]
    return sorted(missing), sorted(anomaly for key, anomaly in stored.items() if key not in wanted)


def upsert(store: Store, run_id: str, should: Iterable[Anomaly]) -> None:
    """Makes table trace_anomalies say what it should about the traces in settle_work."""
    missing, gone = differing(store, run_id, should)
    if missing or gone:
        version = store.versions.next()
        rows = [[*astuple(anomaly), version, 0] for anomaly in missing]
        rows += [[*astuple(anomaly), version, 1] for anomaly in gone]
        store.insert(f"{store.all_shards}.trace_anomalies", _COLUMNS, rows, settings={"insert_deduplicate": 0})


def counts(store: Store, start: datetime | None, end: datetime | None) -> dict[str, int]:
    """How many anomalies of each `kind:field` the spans of [start, end) have, most frequent first."""
    sql = """
        SELECT concat(kind, ':', field) AS name, toInt64(count()) FROM {shards:Identifier}.anomalies
        WHERE started_at >= {start:DateTime64(9)} AND started_at < {end:DateTime64(9)}
        GROUP BY name ORDER BY count() DESC, name
    """
    return dict(store.query(sql, {**window(start, end), "shards": store.all_shards}))


def _key(anomaly: Anomaly) -> tuple[str, ...]:
    return anomaly.tenant, anomaly.trace_id, anomaly.span_id, anomaly.field, anomaly.kind
