"""Compares the first level of the books: raw spans, interpreted again, with genai_spans.

A span that is stored twice counts once (the highest version). Raw spans that retention has removed cannot be compared;
genai_spans older than the oldest raw span are left alone, and so are those whose raw span an erasure has changed so
that it no longer says what they say (batch ERASED). Works slice by slice of trace ids, so memory stays bounded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spanledger.dialects.interpreter import CANONICAL
from spanledger.dialects.tables import facts_sql
from spanledger.ledger import giants, left_out, spans
from spanledger.ledger.scope import Scope
from spanledger.store.client import Store

SLICE_SPANS = 100_000
ERASED = "erased"  # in the place of a batch
_KEY = ("tenant", "trace_id", "span_id")
_COMPARED = ("parent_span_id", "started_at_ns", "duration_ns", "service", "scope", "span_name", *CANONICAL)

# What the view leaves to the table's defaults.
_COUNTS = (*(c for c in CANONICAL if c.endswith("_tokens")), "time_to_first_chunk_ns", "told_calls")
_EMPTY = ", ".join(
    "CAST(NULL, 'Nullable(Int64)') AS " + name
    if name in _COUNTS
    else {
        "cost_claim_usd": "CAST(NULL, 'Nullable(Decimal(38, 15))') AS cost_claim_usd",
        "saved_usd": "CAST(NULL, 'Nullable(Decimal(38, 15))') AS saved_usd",
        "tools_requested": "CAST([], 'Array(String)') AS tools_requested",
        "stream": "toUInt8(0) AS stream",
        "usage_estimated": "toUInt8(0) AS usage_estimated",
    }.get(name, f"'' AS {name}")
    for name in CANONICAL
    if name not in ("status", "anomalies")
)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class SpanDifference:
    """One span of genai_spans that is missing, too much or different; `fields`: name → {expected, found}."""

    tenant: str
    trace_id: str
    span_id: str
    note: str
    fields: dict[str, Any]


class RawLevel:
    """Compares the spans of a scope. `compared`: called with how many are, of how many; `step`: held for each slice."""

    def __init__(
        self,
        store: Store,
        scope: Scope,
        compared: Callable[[int, int], None] = lambda done, of: None,
        step: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._store = store
        self._compared = compared
        self._step = step or nullcontext()
        self._params = scope.params | left_out.parameters(giants.recorded(store))
        self._raw_condition = (
            f"{scope.spans('Timestamp', 'Tenant', 'TraceId')} AND {left_out.condition('Tenant', 'TraceId')}"
        )
        self._condition = f"{scope.spans()} AND {left_out.condition()}"
        self.checked = 0

    def again(self, found: Sequence[SpanDifference]) -> list[SpanDifference]:
        """Those of `found` that still differ: a span that landed during the comparison does not."""
        still = []
        for tenant, trace_id in sorted({(d.tenant, d.trace_id) for d in found}):
            one = {"tenant": tenant, "trace": trace_id}
            expected = _rows(_reread(self._store, "Tenant = {tenant:String} AND TraceId = {trace:String}", one))
            where = "tenant = {tenant:String} AND trace_id = {trace:String}"
            there = self._store.arrow(f"SELECT {spans.COLUMNS} FROM genai_spans FINAL WHERE {where}", one)
            actual = _rows(there)
            for key in _erased(there):
                expected.pop(key, None)
                actual.pop(key, None)
            keys = {(d.tenant, d.trace_id, d.span_id) for d in found if (d.tenant, d.trace_id) == (tenant, trace_id)}
            still += [d for key in sorted(keys) if (d := _difference(key, expected.get(key), actual.get(key)))]
        return still

    def differences(self) -> Iterator[SpanDifference]:
        """Every span that differs, by key."""
        count = f"SELECT count() FROM otel_traces WHERE {self._raw_condition}"
        raw = int(self._store.scalar(count, self._params) or 0)
        slices = max(1, -(-raw // SLICE_SPANS))
        for number in range(slices):
            with self._step:
                found = list(self._slice({**self._params, "slices": slices, "slice": number}))
            yield from found
            self._compared(min(self.checked, raw), raw)

    def _slice(self, params: dict[str, Any]) -> Iterator[SpanDifference]:
        there = self._found(params)
        expected, found = _rows(self._expected(params)), _rows(there)
        for key in _erased(there):
            expected.pop(key, None)
            found.pop(key, None)
        self.checked += len(expected)
        for key in sorted(expected.keys() | found.keys()):
            if difference := _difference(key, expected.get(key), found.get(key)):
                yield difference

    def _expected(self, params: dict[str, Any]) -> pa.Table:
        where = f"{self._raw_condition} AND cityHash64(TraceId) % {{slices:UInt32}} = {{slice:UInt32}}"
        return _reread(self._store, where, params)

    def _found(self, params: dict[str, Any]) -> pa.Table:
        return self._store.arrow(
            f"""
            SELECT {spans.COLUMNS} FROM genai_spans FINAL
            WHERE {self._condition} AND cityHash64(trace_id) % {{slices:UInt32}} = {{slice:UInt32}}
                AND received_at >= (
                    SELECT ifNull(minOrNull(ReceivedAt), toDateTime64('2262-01-01', 3)) FROM otel_traces
                )
            """,
            params,
        )

    def repair(self, traces: Sequence[tuple[str, str]]) -> int:
        """Rewrites these traces in genai_spans from the raw spans; returns how many spans were written."""
        written = 0
        for tenant, trace_id in traces:
            one = {"tenant": tenant, "trace": trace_id}
            where = "tenant = {tenant:String} AND trace_id = {trace:String}"
            kept = f"SELECT DISTINCT span_id FROM genai_spans WHERE {where} AND batch = '{ERASED}'"
            raw = f"Tenant = {{tenant:String}} AND TraceId = {{trace:String}} AND SpanId NOT IN ({kept})"
            delete = f"ALTER TABLE genai_spans DELETE WHERE {where} AND batch != '{ERASED}'"
            self._store.command(delete, one, settings={"mutations_sync": 1})
            rows = _reread(self._store, raw, one)
            spans.write_back(self._store, rows)
            written += rows.num_rows
        return written


def _difference(key: Key, should: tuple[Any, ...] | None, found: tuple[Any, ...] | None) -> SpanDifference | None:
    if should == found:
        return None
    if should is None or found is None:
        return SpanDifference(*key, "missing" if found is None else "without a raw span", {})
    pairs = zip(_COMPARED, should, found, strict=True)
    fields = {name: {"expected": left, "found": right} for name, left, right in pairs if left != right}
    return SpanDifference(*key, "different", fields)


def _reread(store: Store, where: str, params: dict[str, Any]) -> pa.Table:
    """Raw spans interpreted again, each once."""
    facts = facts_sql(f"(SELECT * FROM otel_traces WHERE {where})").replace("SELECT\n", f"SELECT {_EMPTY},\n", 1)
    table = store.arrow(
        f"""
        SELECT {spans.COLUMNS} FROM ({facts})
        ORDER BY version DESC LIMIT 1 BY {", ".join(_KEY)}
        """,
        params,
    )
    plain, newly = spans.interpreted(table)
    return pa.concat_tables([plain, newly])


def _erased(table: pa.Table) -> list[Key]:
    """The spans that cannot be compared."""
    changed = table.filter(pc.equal(table["batch"], ERASED))
    return list(zip(*(changed[name].to_pylist() for name in _KEY), strict=True))


def _rows(table: pa.Table) -> dict[Key, tuple[Any, ...]]:
    keys = zip(*(table[name].to_pylist() for name in _KEY), strict=True)
    values = zip(*(table[name].to_pylist() for name in _COMPARED), strict=True)
    return {key: _comparable(value) for key, value in zip(keys, values, strict=True)}


def _comparable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tuple(v) if isinstance(v, list) else v for v in values)
