"""The provider calls that the spans of a trace tell of.

Within a trace the leaves count: a span above them that repeats their usage is the same call seen from further out. It
lends the leaf what the leaf does not say. Copies that no parent joins are joined by copies.py.

What was joined stays listed in `Call.rows`; audit shows it. A call that a response cache answered (`cached`) is no
provider call: it belongs to its message and to nobody's bill.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

CALL_ROLES = frozenset({"inference", "embedding", "rerank"})
USAGE = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)

Span = dict[str, Any]


@dataclass(slots=True)
class Call:
    """One provider call. `rows` are the indexes of the spans that tell of it; `row` is the one that stands for it."""

    row: int
    rows: list[int]
    tenant: str
    trace: str
    span_id: str
    service: str
    scopes: frozenset[str]
    start_ns: int
    end_ns: int
    role: str
    operation: str
    provider: str
    request_model: str
    response_model: str
    models: frozenset[str]
    response_id: str
    service_tier: str
    error: bool
    usage: dict[str, int | None]
    estimated: bool
    claim_usd: Decimal | None
    claim_source: str
    conversation: str
    user: str
    finish_reason: str = ""
    cached: bool = False
    count: int = 1  # of calls: more for a step that alone tells of several
    shows_answer: bool = True  # False: marked as a call, but nothing in the span tells of an answer
    parent: str = ""
    copies: list["Call"] = field(default_factory=list)

    @property
    def measured(self) -> bool:
        return self.usage["input_tokens"] is not None or self.usage["output_tokens"] is not None

    @property
    def failed(self) -> bool:
        """Ended in an error and billed nothing, as far as anybody said. A stream that the client left was served."""
        return self.error and not self.measured and not self.claim_usd and self.finish_reason != "aborted"

    @property
    def model(self) -> str:
        return self.response_model or self.request_model


def call_of(row: int, span: Span) -> Call:
    """A call as one span tells it."""
    models = frozenset(m.lower().rsplit("/", 1)[-1] for m in (span["request_model"], span["response_model"]) if m)
    return Call(
        row=row,
        rows=[row],
        tenant=span["tenant"],
        trace=span["trace_id"],
        span_id=span["span_id"],
        service=span["service"],
        scopes=frozenset({span["scope"]}),
        start_ns=span["started_at_ns"],
        end_ns=span["started_at_ns"] + span["duration_ns"],
        role=span["role"],
        operation=span["operation"],
        provider=span["provider"],
        request_model=span["request_model"],
        response_model=span["response_model"],
        models=models,
        response_id=span["response_id"],
        service_tier=span["service_tier"],
        error=span["status"] == "error",
        usage={name: span[name] for name in USAGE},
        estimated=bool(span["usage_estimated"]),
        claim_usd=span["cost_claim_usd"],
        claim_source=span["cost_claim_source"],
        conversation=span["conversation_id"],
        user=span["user_id"],
        finish_reason=span["finish_reason"],
        cached=span["response_cache"] == "hit",
        count=span["told_calls"] or 1,
        shows_answer=span["told_calls"] != 0,
        parent=span["parent_span_id"],
    )


def calls_in_traces(spans: dict[int, Span], above: dict[int, int]) -> list[Call]:
    """The calls that the candidate spans tell of, leaves joined with the spans above that repeat them.

    `spans`: candidates by row (a call role, or usage); `above`: row → row of the nearest candidate ancestor, or −1.
    """
    children: dict[int, list[int]] = defaultdict(list)
    for row in spans:
        children[above[row]].append(row)
    result: dict[int, list[Call]] = {}
    stack = [(row, False) for row in children[-1]]
    while stack:
        row, expanded = stack.pop()
        if not expanded and row in children:
            stack.append((row, True))
            stack.extend((child, False) for child in children[row])
            continue
        below = [call for child in children.get(row, ()) for call in result.pop(child)]
        result[row] = _with_outer(row, spans[row], below)
    return _without_helpers([call for calls in result.values() for call in calls])


def _without_helpers(calls: list[Call]) -> list[Call]:
    """Without the steps of a library that are marked as calls, show no answer and stand beside the real one."""
    if all(call.shows_answer for call in calls):
        return calls
    real = {_place(call) for call in calls if call.shows_answer and call.measured}
    return [call for call in calls if call.shows_answer or call.measured or _place(call) not in real]


def _place(call: Call) -> tuple[str, str, str, frozenset[str], frozenset[str]]:
    return call.tenant, call.trace, call.parent, call.scopes, frozenset({call.request_model.lower()})


def _with_outer(row: int, span: Span, below: list[Call]) -> list[Call]:
    """The calls of a subtree whose top is `span`."""
    outer = call_of(row, span)
    is_call = span["role"] in CALL_ROLES
    if not below:
        return [outer] if is_call or outer.measured else []
    same = [c for c in below if not is_call or c.role == span["role"] or c.role not in CALL_ROLES]
    served = [c for c in same if not c.failed]
    if not served:
        # Every attempt that was seen failed (or was of another kind), yet the outer span got an answer.
        return [*below, outer] if (is_call and not outer.error) or outer.measured else below
    if len(served) == 1:
        absorb(served[0], outer)
        return below
    unknown = sorted((c for c in served if not c.measured), key=lambda c: (c.start_ns, c.span_id))
    if outer.measured and unknown:
        rest = _rest(outer, [c for c in served if c.measured])
        if rest is not None and (len(unknown) == 1 or len(unknown) == len(served)):
            unknown[-1].usage = rest
            unknown[-1].estimated |= outer.estimated or any(c.estimated for c in served)  # a sum of guesses is a guess
    return below


def _rest(outer: Call, known: Sequence[Call]) -> dict[str, int | None] | None:
    """What a span's total leaves for the one call below it that does not say; None when the total does not reach."""
    rest: dict[str, int | None] = {}
    for name in USAGE:
        whole = outer.usage[name]
        part = sum(c.usage[name] or 0 for c in known)
        if whole is not None and whole < part:
            return None
        rest[name] = None if whole is None else whole - part
    return rest if rest["input_tokens"] or rest["output_tokens"] else None


def absorb(call: Call, other: Call) -> None:
    """`other` tells of the same call: take from it what `call` does not say."""
    if not call.measured and other.measured:
        call.usage = dict(other.usage)
        call.estimated = other.estimated
    elif call.estimated and other.measured and not other.estimated and not _repeats(call, other):
        call.usage = {n: v if v is not None else call.usage[n] for n, v in other.usage.items()}
        call.estimated = False
    elif call.measured and other.measured and same_counts(call, other):
        call.usage = {n: v if v is not None else other.usage[n] for n, v in call.usage.items()}
    better_claim = other.claim_source == "provider" and call.claim_source != "provider"
    if other.claim_usd is not None and (call.claim_usd is None or better_claim):
        call.claim_usd, call.claim_source = other.claim_usd, other.claim_source
    for name in (
        "provider",
        "request_model",
        "response_model",
        "response_id",
        "service_tier",
        "finish_reason",
    ):
        if not getattr(call, name):
            setattr(call, name, getattr(other, name))
    if call.role not in CALL_ROLES and other.role in CALL_ROLES:
        call.role, call.operation = other.role, other.operation
    call.conversation = call.conversation or other.conversation
    call.user = call.user or other.user
    call.error = call.error and other.error
    call.cached = call.cached or other.cached
    call.rows.extend(other.rows)
    call.scopes |= other.scopes
    call.models |= other.models
    call.start_ns = min(call.start_ns, other.start_ns)
    call.end_ns = max(call.end_ns, other.end_ns)


def _repeats(call: Call, outer: Call) -> bool:
    """Whether an agent or step merely sums up the guess below it, which makes it no better known."""
    return outer.role not in CALL_ROLES and same_counts(call, outer)


def same_counts(a: Call, b: Call) -> bool:
    return all(
        a.usage[n] is None or b.usage[n] is None or a.usage[n] == b.usage[n] for n in ("input_tokens", "output_tokens")
    )
