"""One call explained: the span that stands for it, those joined with it, what was read, and tokens × rate = amount."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

import pyarrow as pa

from spanledger.books.calls import Call
from spanledger.books.compute import span_by_span
from spanledger.books.costs import Cost, Prices, Sort, Tariff
from spanledger.ledger.activations import LedgerPrices
from spanledger.pricing import Price, usd
from spanledger.pricing import Usage as Tokens
from spanledger.pricing.parts import applied, parts
from spanledger.stats.explained_spans import SpanKey, readings, with_copies
from spanledger.stats.price_list import entry_id
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.usage import Usage, decimal_text, total
from spanledger.store.client import Store

_COMPARED = ("llm_calls", "failed_calls", "input_tokens", "output_tokens", "cost_usd")


@dataclass(frozen=True)
class JoinedSpan:
    """A span that reports the same call, and the rule by which they were joined."""

    trace_id: str
    span_id: str
    scope: str
    reason: str


@dataclass(frozen=True)
class Read:
    """`field`: the fact; `key`: the attribute that gave it; `rule`: why this key; `span_id`: the span with it."""

    field: str
    key: str
    value: str
    dialect: str
    rule: str
    span_id: str


@dataclass(frozen=True)
class PriceEntry:
    """The entry of the price book that was used. `pattern`: the model or pattern by which it was found; `tier` '' is
    the ordinary one; `above`: it holds for requests with more input tokens than this."""

    id: str
    price_book: str
    provider: str
    pattern: str
    source: str
    valid_from: str | None
    valid_to: str | None
    tier: str
    above: int


@dataclass(frozen=True)
class Part:
    """`tokens` × `rate` = `amount`, exact decimals in USD; null where there is no price. Kind `billed` is what the
    provider itself reported, kind `call` the price of a request."""

    kind: str
    tokens: int | None
    rate: str | None
    amount: str | None


@dataclass(frozen=True)
class ExplainedCall:
    """`amount`: what the books say, the sum of `parts` where there is a price. `claim`: what the sender says it cost;
    `difference`: amount − claim, null where the books have no price. `agrees`: the spans as they are now
    lead to what the books say."""

    trace_id: str
    span_id: str
    started_at: str
    duration_ms: float
    service: str
    operation: str
    provider: str
    model: str
    status: str
    usage: Usage
    joined: list[JoinedSpan]
    read: list[Read]
    price: PriceEntry | None
    parts: list[Part]
    amount: str
    cost_state: str
    claim: str | None
    claim_source: str
    difference: str | None
    notes: list[str]
    agrees: bool


class _Noting:
    """Prices that remember the calls that were looked up."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self.found: dict[SpanKey, tuple[Call, Cost]] = {}

    def cost(self, call: Call) -> Cost:
        cost = self._prices.cost(call)
        self.found[call.trace, call.span_id] = (call, cost)
        return cost

    def tariff(self, sort: Sort) -> Tariff | None:
        return self._prices.tariff(sort)


def explained(
    store: Store, tenant: str, prices: Prices, rows: Sequence[Mapping[str, Any]], table: pa.Table | None = None
) -> tuple[list[ExplainedCall], bool]:
    """The calls that entries are about, and whether the ledger agrees with the spans of each. `rows`: in the order of
    calls; `table`: the result of `with_copies` for their traces, if it was computed."""
    keys = [(row["trace_id"], row["span_id"]) for row in rows]
    if not keys:
        return [], True
    if table is None:
        table = with_copies(store, tenant, {trace for trace, _ in keys})
    noting = _Noting(prices)
    span_by_span(table, noting)
    spans = _rows(table)
    row_numbers = {row for key in keys if key in noting.found for row in noting.found[key][0].rows}
    read = readings(store, tenant, [spans[row] for row in sorted(row_numbers)])
    calls = []
    grouped: dict[SpanKey, list[Mapping[str, Any]]] = {}
    for key, entries in groupby(rows, key=lambda row: (row["trace_id"], row["span_id"])):
        grouped.setdefault(key, []).extend(entries)
    for key, entries_of_call in grouped.items():
        found = noting.found.get(key)
        if found is None and not any(sum(row[name] for row in entries_of_call) for name in _COMPARED):
            continue  # it was taken back: another span stands for the call now
        calls.append(_call(entries_of_call, found, spans, read, prices))
    return calls, all(call.agrees for call in calls)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    names = ("trace_id", "span_id", "scope", "service", "started_at_ns", "response_id")
    columns = [table[name].to_pylist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _call(
    entries: Sequence[Mapping[str, Any]],
    found: tuple[Call, Cost] | None,
    spans: Sequence[Mapping[str, Any]],
    read: Mapping[SpanKey, Any],
    prices: Prices,
) -> ExplainedCall:
    last = entries[-1]
    usage = total(entries)
    amount = sum((row["cost_usd"] for row in entries), Decimal(0))
    call, cost = found or (None, None)
    claim = call.claim_usd if call else None
    version, price = prices.find(call) if call and isinstance(prices, LedgerPrices) else ("", None)
    return ExplainedCall(
        trace_id=last["trace_id"],
        span_id=last["span_id"],
        started_at=format_time(last["started_ns"]),
        duration_ms=milliseconds(sum(row["duration_ns"] for row in entries)),
        **{name: last[name] for name in ("service", "operation", "provider", "model", "status")},
        usage=usage,
        joined=_joined(call, spans) if call else [],
        read=_read(call, spans, read) if call else [],
        price=_price(price, call, version) if price and call and not call.failed else None,
        parts=_parts(call, cost, price) if call and cost and not call.failed else [],
        amount=decimal_text(amount),
        cost_state=usage.cost_state if usage.llm_calls else "",
        claim=None if claim is None else decimal_text(claim),
        claim_source=call.claim_source if call else "",
        difference=None if claim is None or usage.cost_state == "unpriced" else decimal_text(amount - claim),
        notes=list(cost.flags) if cost else [],
        agrees=_agrees(entries, call, cost),
    )


def _agrees(entries: Sequence[Mapping[str, Any]], call: Call | None, cost: Cost | None) -> bool:
    booked = {name: sum(row[name] for row in entries) for name in _COMPARED}
    if call is None or cost is None:
        return not any(booked.values())
    served = not call.failed
    should = {
        "llm_calls": call.count if served else 0,
        "failed_calls": int(not served),
        "input_tokens": (call.usage["input_tokens"] or 0) if served else 0,
        "output_tokens": (call.usage["output_tokens"] or 0) if served else 0,
        "cost_usd": cost.usd if served else Decimal(0),
    }
    return booked == should


def _joined(call: Call, spans: Sequence[Mapping[str, Any]]) -> list[JoinedSpan]:
    why: dict[int, str] = {}
    _note_copies(call, why)
    own = spans[call.row]
    found = []
    for row in call.rows:
        if row == call.row:
            continue
        span = spans[row]
        reason = why.get(row) or "a span around it in the same trace that repeats it"
        if span["trace_id"] != own["trace_id"] and row not in why:
            reason = "it stands around a copy of this call"
        found.append(JoinedSpan(span["trace_id"], span["span_id"], span["scope"], reason))
    return found


def _note_copies(call: Call, why: dict[int, str]) -> None:
    for copy in call.copies:
        same = copy.response_id and copy.response_id == call.response_id
        why[copy.row] = (
            f"the same response id {copy.response_id}"
            if same
            else "another instrumentation's span of one service, model, tokens and time"
        )
        _note_copies(copy, why)


def _read(call: Call, spans: Sequence[Mapping[str, Any]], read: Mapping[SpanKey, Any]) -> list[Read]:
    result = []
    for row in dict.fromkeys([call.row, *call.rows]):
        key = (spans[row]["trace_id"], spans[row]["span_id"])
        for one in read.get(key, ((), {}))[0]:
            result.append(Read(one.field, one.key, one.value, one.dialect, one.rule, key[1]))
    return result


def _price(price: Price, call: Call, version: str) -> PriceEntry:
    tier, step = applied(price, Tokens(**call.usage), call.service_tier)
    since = price.valid_from.isoformat().replace("+00:00", "Z") if price.valid_from else None
    until = price.valid_to.isoformat().replace("+00:00", "Z") if price.valid_to else None
    return PriceEntry(
        id=entry_id(price),
        price_book=version,
        provider=price.provider,
        pattern=price.model,
        source=price.source,
        valid_from=since,
        valid_to=until,
        tier=tier,
        above=step.above,
    )


def _parts(call: Call, cost: Cost, price: Price | None) -> list[Part]:
    if cost.state == "billed":
        return [Part("billed", None, None, decimal_text(cost.usd))]
    is_priced = cost.state != "unpriced"
    return [
        Part(
            one.kind,
            one.tokens,
            None if one.rate is None else decimal_text(usd(one.rate)),
            None if one.amount is None or not is_priced else decimal_text(usd(one.amount)),
        )
        for one in parts(price, Tokens(**call.usage), call.service_tier)
    ]
