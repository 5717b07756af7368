"""What is odd about spans and shows only beside others, or beside the price book: cyclic parents, tellings of one call
that contradict each other, calls without a price.

What is odd about a span by itself stands in genai_spans.anomalies; the view `anomalies` shows both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from spanledger.books.calls import CALL_ROLES, Call, Span
from spanledger.books.costs import Cost
from spanledger.books.inheritance import Context

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
    """The anomalies of some traces. `costs`: calls that were served; `spans`: by row, those that report calls."""
    result = _cut(table, context)
    for call, cost in costs:
        span = spans[call.row]
        result += [_anomaly(span, *of_flag(flag, call.provider, call.model)) for flag in cost.flags]
        if len(call.rows) > 1 and (reason := _disagreement([spans[row] for row in call.rows])):
            result.append(_anomaly(span, "usage", "contradiction", reason))
    return result


def _cut(table: pa.Table, context: Context) -> list[Anomaly]:
    """Spans whose parent is below them: they were taken for roots."""
    rows = context.forest.cut
    reason = "the span is its own ancestor; it counts as a root"
    taken = table.take(pa.array(rows)).to_pylist() if len(rows) else []
    return [_anomaly(span, "parent_span_id", "cycle", reason) for span in taken]


def of_flag(flag: str, provider: str, model: str) -> tuple[str, str, str]:
    """Field, kind and reason of what the pricing of a call found odd."""
    word, _, what = flag.partition(":")
    match word:
        case "no_price":
            return "model", "unpriced", _unpriced(provider, model)
        case "unknown":
            return what, "unpriced", "no span says how many there were, and they cost something"
        case "no_rate":
            return "model", "unpriced", f"the price of {model} has no rate for {what}"
        case "no_tier":
            return "service_tier", "no_tier", f"no price for tier {what}; the ordinary one was used"
        case "details_exceed":
            return what, "contradiction", "its parts exceed it; they were cut to fit"
        case _:
            return what, word, "the price book took it as unknown"


def _unpriced(provider: str, model: str) -> str:
    """Why a call has no price."""
    return f"the price book has no price for {provider or 'no provider'} / {model or 'no model'}"


def _disagreement(tellings: list[Span]) -> str:
    """How the token counts of the spans of one call differ; '' when they agree."""
    scope_of = {
        (span["input_tokens"], span["output_tokens"]): span["scope"]
        for span in tellings
        if span["role"] in CALL_ROLES and not span["usage_estimated"] and all(span[n] is not None for n in _COUNTED)
    }
    if len(scope_of) < 2:
        return ""
    figures = ", ".join(f"{scope or 'a span'}: {i} in, {o} out" for (i, o), scope in sorted(scope_of.items()))
    return f"tellings of one call disagree; the innermost counts ({figures})"


def _anomaly(span: Span, field: str, kind: str, reason: str) -> Anomaly:
    ids = (span["tenant"], span["trace_id"], span["span_id"])
    return Anomaly(*ids, field, kind, reason, span["started_at_ns"], span["service"], span["dialect"])
