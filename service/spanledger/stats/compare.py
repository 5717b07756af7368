"""A message, conversation or user against its peers: how far from their median cost it is, and what makes the
difference.

Peers of a message or conversation are those of the same service and workflow near it in time, peers of a user are the
other users of the window. The factors of a typical peer are the averages of the peers in the middle fifth by cost;
what their average cost differs from the median is part of `rest`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from spanledger.books.costs import Prices
from spanledger.errors import BadRequest, NotFound
from spanledger.ledger.activations import LedgerPrices
from spanledger.stats import decomposition
from spanledger.stats.decomposition import FACTORS, ModelLine, Profile
from spanledger.stats.explain import entries_behind
from spanledger.stats.fields import Money, Time
from spanledger.stats.times import ALL_TIME, SECOND, Window, format_time
from spanledger.stats.usage import decimal_text
from spanledger.store import queries
from spanledger.store.client import Store

Kind = Literal["message", "conversation", "user"]
KINDS: tuple[Kind, ...] = ("message", "conversation", "user")
_REACHES_NS = (3600 * SECOND, 8 * 3600 * SECOND, 64 * 3600 * SECOND, 7 * 86_400 * SECOND)
_ENOUGH = 100  # peers; with fewer the next longer stretch of time is looked at
_MOST_TYPICAL = 200  # peers whose calls are looked at
_CLOSEST = Decimal("1e-15")  # the ledger's finest step
_UNITS = {
    "calls": "calls",
    "tools": "calls after a tool",
    "retries": "failed calls",
    "context": "input tokens a call",
    "answer": "output tokens a call",
    "cache": "share of input read from cache",
    "model": "USD per million tokens",
}


@dataclass(frozen=True)
class Factor:
    """`own` and `typical` are in `unit`; `amount_usd` is what the difference between them makes of the cost."""

    factor: str
    own: float | None
    typical: float | None
    unit: str
    amount_usd: Money


@dataclass(frozen=True)
class Peers:
    """`what`: which they are. `cheaper`: how many of them cost less. `left_out`: those with a call without a price.
    `typical`: how many in the middle the typical values are averages of, `models` what served those."""

    what: str
    count: int
    cheaper: int
    left_out: int
    typical: int
    models: list[str]


@dataclass(frozen=True)
class PeerComparison:
    """`difference_usd` = `cost_usd` − `median_usd` = the sum of the amounts of `factors`. Without peers there is no
    median. `priced_share` below 1: the thing cost more than is known."""

    kind: Kind
    id: str
    start: Time
    end: Time
    cost_usd: Money
    priced_share: float
    models: list[str]
    median_usd: Money | None
    difference_usd: Money | None
    factors: list[Factor]
    peers: Peers


@dataclass(frozen=True)
class _Calls:
    """Calls of one thing, or of several: `of`."""

    profile: Profile | None
    failed: int
    cost: Decimal
    models: list[str]


def compare(
    store: Store, tenant: str, prices: Prices, kind: Kind, identity: str, window: Window = ALL_TIME
) -> PeerComparison:
    """Raises NotFound for a thing without calls in the window."""
    if kind not in KINDS or not identity:
        raise BadRequest(f"say what to compare: one of {', '.join(KINDS)}")
    where = _subject(store, tenant, kind, identity, window)
    stretch, costs = _peers(store, tenant, kind, where, window)
    own_row = costs.pop(identity, None)
    if own_row is None:
        raise NotFound(f"the books have no call of {kind} {identity!r} in this time")
    priced = {name: row["cost_usd"] for name, row in costs.items() if not row["unpriced_calls"]}
    middle, median = _middle(priced)
    own, typical = (_calls(store, tenant, prices, kind, ids, stretch) if ids else None for ids in ([identity], middle))
    assert own is not None
    return PeerComparison(
        kind=kind,
        id=identity,
        start=format_time(stretch.first_ns),
        end=format_time(stretch.last_ns + 1),
        cost_usd=decimal_text(own_row["cost_usd"]),
        priced_share=1 - own_row["unpriced_calls"] / own_row["llm_calls"],
        models=own.models,
        median_usd=None if median is None else decimal_text(median),
        difference_usd=None if median is None else decimal_text(own_row["cost_usd"] - median),
        factors=[]
        if median is None or typical is None
        else _factors(own, typical, own_row["cost_usd"] - median, middle),
        peers=Peers(
            what=_description(kind, where),
            count=len(priced),
            cheaper=sum(cost < own_row["cost_usd"] for cost in priced.values()),
            left_out=len(costs) - len(priced),
            typical=len(middle),
            models=typical.models if typical else [],
        ),
    )


def _subject(store: Store, tenant: str, kind: Kind, identity: str, window: Window) -> dict[str, Any]:
    """When its calls were, and of which service and workflow most of them are."""
    traces: list[str] = []
    if kind == "message":
        sql = "SELECT DISTINCT trace_id FROM message_usage WHERE tenant = {tenant:String} AND message_id = {id:String}"
        traces = [row[0] for row in store.query(sql, {"tenant": tenant, "id": identity})]
    parameters: dict[str, Any] = {
        "tenant": tenant,
        **({"trace_ids": traces, "message_id": identity} if kind == "message" else {f"only_{kind}": [identity]}),
        "first_ns": window.first_ns,
        "last_ns": window.last_ns,
    }
    found = store.dicts(entries_behind("compare_subject", parameters), parameters)[0]
    if not found["entries"]:
        raise NotFound(f"the books have no call of {kind} {identity!r}")
    service, workflow = found["mostly"]
    return {**found, "service": service, "workflow": workflow}


def _peers(
    store: Store, tenant: str, kind: Kind, where: Mapping[str, Any], window: Window
) -> tuple[Window, dict[str, dict[str, Any]]]:
    """The stretch of time that is compared, and by id what each thing of the kind cost in it, the subject too."""
    first, last = where["first_call_ns"], where["last_call_ns"]
    if kind == "user":
        start = window.start if window.start is not None else last - _REACHES_NS[-1]
        stretch = Window(start, window.end if window.end is not None else last + 1)
        rows = store.dicts(queries.sql("users"), {"tenant": tenant, "prefix": "", **stretch.split_days()})
        return stretch, {row["user_id"]: row for row in rows if row["llm_calls"] > 0}
    parameters = {"tenant": tenant, "by": kind, "service": where["service"], "workflow": where["workflow"]}
    for reach in _REACHES_NS:
        stretch = window if window != ALL_TIME else Window(first - reach, last + reach + 1)
        rows = store.dicts(queries.sql("compare_peers"), {**parameters, **stretch.bounds()})
        if window != ALL_TIME or len(rows) > _ENOUGH:
            break
    return stretch, {row["id"]: row for row in rows}


def _middle(costs: Mapping[str, Decimal]) -> tuple[list[str], Decimal | None]:
    """The ids of the middle fifth by cost, and the median."""
    ordered = sorted(costs, key=lambda name: (costs[name], name))
    count = len(ordered)
    if not count:
        return [], None
    low, high = (count - 1) // 2, count // 2
    around = max(0, (min(count // 5, _MOST_TYPICAL) - 1) // 2)
    return ordered[low - around : high + around + 1], (costs[ordered[low]] + costs[ordered[high]]) / 2


def _calls(store: Store, tenant: str, prices: Prices, kind: Kind, ids: Sequence[str], stretch: Window) -> _Calls:
    parameters = {"tenant": tenant, "by": kind, "ids": list(ids), **stretch.bounds()}
    rows = store.dicts(queries.sql("compare_calls"), parameters)
    served = [row for row in rows if row["llm_calls"]]
    lines = [_line(row, prices) for row in served]
    of_class = {name: sum(row["llm_calls"] for row in served if row["class"] == name) for name in ("tool", "retry")}
    return _Calls(
        profile=decomposition.profile(lines, len(ids), of_class["tool"], of_class["retry"]),
        failed=of_class["retry"] + sum(row["failed_calls"] for row in rows),
        cost=sum((row["cost_usd"] for row in rows), Decimal(0)),
        models=sorted({row["model"] for row in served if row["model"]}),
    )


def _line(row: Mapping[str, Any], prices: Prices) -> ModelLine:
    """Calls of one model: what they cost is divided among the kinds of tokens as the price list divides it; evenly
    where it has no price."""
    read, written = row["cache_read_input_tokens"], row["cache_write_input_tokens"]
    tokens = {
        "input": row["input_tokens"] - read - written,
        "cache_read": read,
        "cache_write": written,
        "output": row["output_tokens"],
    }
    cost, calls = Fraction(row["cost_usd"]), row["llm_calls"]
    rates = _rates(row, prices)
    listed = sum((rates[kind] * count for kind, count in tokens.items()), rates["call"] * calls)
    if listed > 0:
        rates = {kind: rate * cost / listed for kind, rate in rates.items()}
    elif every := sum(tokens.values()):
        rates = dict.fromkeys(tokens, cost / every) | {"call": Fraction(0)}
    else:
        rates = dict.fromkeys(tokens, Fraction(0)) | {"call": cost / calls}
    counts = tokens | {"call": calls}
    return ModelLine(calls, tokens, {kind: rates[kind] * count for kind, count in counts.items()}, rates)


def _rates(row: Mapping[str, Any], prices: Prices) -> dict[str, Fraction]:
    """The price list's rates for calls as long as these are on average; zeros where it has none."""
    price = None
    if isinstance(prices, LedgerPrices):
        at = datetime.fromtimestamp(row["last_ns"] // SECOND, UTC)
        price = prices.lookup(row["provider"], row["model"], at)
    if price is None:
        return dict.fromkeys(decomposition.KINDS, Fraction(0))
    rates = price.rates(row["input_tokens"] // row["llm_calls"])
    return {kind: Fraction(getattr(rates, kind) or 0) for kind in decomposition.KINDS}


def _factors(own: _Calls, typical: _Calls, difference: Decimal, middle: Sequence[str]) -> list[Factor]:
    """Their amounts add up to `difference`."""
    amounts = dict.fromkeys(FACTORS, Decimal(0))
    if own.profile and typical.profile:
        found = decomposition.shares(own.profile, typical.profile)
        amounts = {name: _decimal(share) for name, share in found.items()}
    amounts["model"] = amounts.pop("rates")
    ours, theirs = _values(own, 1), _values(typical, len(middle))
    factors = [
        Factor(name, ours.get(name), theirs.get(name), unit, decimal_text(amounts[name]))
        for name, unit in _UNITS.items()
    ]
    factors.sort(key=lambda one: -abs(Decimal(one.amount_usd)))
    rest = difference - sum(amounts.values(), Decimal(0))
    return [*factors, Factor("rest", None, None, "", decimal_text(rest))]


def _values(calls: _Calls, of: int) -> dict[str, float]:
    found = calls.profile
    if found is None:
        return {}
    tokens = found.all_calls * (found.context + found.answer)
    return {
        "calls": float(found.calls),
        "tools": float(found.tools),
        "retries": calls.failed / of,
        "context": float(found.context),
        "answer": float(found.answer),
        "cache": float(found.cache[0]),
        **({"model": float(found.cost / tokens * 10**6)} if tokens and found.cost else {}),
    }


def _decimal(share: Fraction) -> Decimal:
    """To the ledger's finest step."""
    steps = round(share / Fraction(_CLOSEST))
    return Decimal(steps) * _CLOSEST


def _description(kind: Kind, where: Mapping[str, Any]) -> str:
    if kind == "user":
        return "other users of this time"
    of = f"workflow {where['workflow']}" if where["workflow"] else f"service {where['service']}"
    return f"{kind}s of {of} around this time"
