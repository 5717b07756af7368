"""The oracle: what the books must say about raw OTLP bodies, by the rules, slowly and obviously.

1. A span that arrives twice is one span.
2. A span belongs to the conversation, user and message that it names; else to those of its nearest ancestor that names
   one; else to the only one named anywhere in its trace. A message nobody named is the trace.
3. Calls are spans of models that were asked (chat, embeddings), and other spans that report usage with no call below
   them. Of spans above each other the innermost stand for calls; a span above a single served call is the same call
   seen from further out; a span above several repeats their sum. But calls that tools made are other calls than that of
   a span above the tools, unless that span repeats their sum.
4. Spans of different instrumentations are one call if they have the same response id; or, where at most one has an id,
   if one service reports the same model and tokens and the one's time contains the other's.
5. What a call's first span does not say, its other spans may. Of spans in different traces, the one that knows a
   conversation, then a user, then began first says to whom the call belongs.
6. A call that ended in an error and reports no usage failed. Every other call was served.
7. A served call costs what the provider said; else tokens × price if all that costs is known; else it is unpriced.
8. Tool executions count once, also when a second instrumentation repeats one directly below the first.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from oracle.totals import Amounts, Dimension, State, Totals

# USD per token, typed from the price pages: fresh input, cache read, cache write, output.
PRICE = {
    "gpt-4o-mini": (Decimal("0.00000015"), Decimal("0.000000075"), Decimal("0.00000015"), Decimal("0.0000006")),
    "claude-sonnet-4-5": (Decimal("0.000003"), Decimal("0.0000003"), Decimal("0.00000375"), Decimal("0.000015")),
    "text-embedding-3-small": (Decimal("0.00000002"), Decimal("0.00000002"), Decimal("0.00000002"), Decimal(0)),
}
SNAPSHOTS = {
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
}
COUNTS = ("input", "read", "write", "output", "reasoning")


@dataclass(eq=False)
class Seen:
    """A span, and what it says in whatever dialect."""

    tenant: str
    service: str
    scope: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    error: bool
    kind: str  # chat | embeddings | tool | ''
    conversation: str
    user: str
    message: str
    tool: str
    asked: str
    answered: str
    response_id: str
    counts: dict[str, int | None]
    estimated: bool
    billed: Decimal | None

    @property
    def measured(self) -> bool:
        return self.counts["input"] is not None or self.counts["output"] is not None


@dataclass(eq=False)
class Call:
    """A call and the spans that tell of it: the innermost first, then those around it; copies elsewhere last."""

    spans: list[Seen]
    copies: list["Call"] = field(default_factory=list)

    @property
    def everyone(self) -> list[Seen]:
        return [*self.spans, *(span for copy in self.copies for span in copy.everyone)]

    @property
    def failed(self) -> bool:
        return all(span.error for span in self.everyone) and not any(span.measured for span in self.everyone)

    def count(self, name: str) -> int | None:
        return next((span.counts[name] for span in self.everyone if span.counts[name] is not None), None)

    def text(self, name: str) -> str:
        return next((value for span in self.everyone if (value := getattr(span, name))), "")

    @property
    def model(self) -> str:
        return self.text("answered") or self.text("asked")

    @property
    def start(self) -> int:
        return min(span.start for span in self.spans)

    @property
    def end(self) -> int:
        return max(span.end for span in self.spans)


def expected(bodies: Iterable[bytes]) -> Totals:
    """The totals that the books must show after these requests, in whatever order they came."""
    spans = list({(span.tenant, span.trace, span.id): span for body in bodies for span in _read(body)}.values())
    world = _World(spans)
    totals = Totals()
    for call in _joined([call for trace in world.traces() for call in _calls_of_trace(world, trace)], world):
        standing = _standing(call, world)
        values: dict[Dimension, str] = {
            "tenant": standing.tenant,
            "model": call.model,
            "conversation": _first(world.whose(span, "conversation") for span in (standing, *call.everyone)),
            "user": _first(world.whose(span, "user") for span in (standing, *call.everyone)),
            "message": world.whose(standing, "message") or standing.trace,
        }
        totals.post(_amounts(call), values)
    for tool in spans:
        above = world.parent(tool)
        if tool.kind == "tool" and not (above and above.kind == "tool" and above.tool == tool.tool):
            owner: dict[Dimension, str] = {
                "tenant": tool.tenant,
                "conversation": world.whose(tool, "conversation"),
                "user": world.whose(tool, "user"),
                "message": world.whose(tool, "message") or tool.trace,
            }
            totals.post(Amounts(tool_calls=1, failed_tool_calls=int(tool.error)), owner)
    return totals


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


# Rule 2


class _World:
    """All spans, with their parents."""

    def __init__(self, spans: list[Seen]) -> None:
        self.spans = spans
        self._by_id = {(span.tenant, span.trace, span.id): span for span in spans}

    def traces(self) -> list[list[Seen]]:
        keys = sorted({(span.tenant, span.trace) for span in self.spans})
        return [[span for span in self.spans if (span.tenant, span.trace) == key] for key in keys]

    def parent(self, span: Seen) -> Seen | None:
        return self._by_id.get((span.tenant, span.trace, span.parent))

    def way_up(self, span: Seen) -> Iterator[Seen]:
        """The span and its ancestors."""
        passed: list[Seen] = []
        here: Seen | None = span
        while here is not None and here not in passed:
            passed.append(here)
            yield here
            here = self.parent(here)

    def whose(self, span: Seen, what: str) -> str:
        for one in self.way_up(span):
            if value := getattr(one, what):
                return str(value)
        named = {
            getattr(one, what)
            for one in self.spans
            if (one.tenant, one.trace) == (span.tenant, span.trace) and getattr(one, what)
        }
        return str(named.pop()) if len(named) == 1 else ""


# Rule 3


def _calls_of_trace(world: _World, trace: list[Seen]) -> list[Call]:
    candidates = [span for span in trace if span.kind in ("chat", "embeddings") or span.measured]

    def nearest(span: Seen) -> Seen | None:
        return next((one for one in list(world.way_up(span))[1:] if one in candidates), None)

    def asked(span: Seen, served: list[Call]) -> bool:
        """Whether it has usage of its own, and the calls are those of tools below it."""
        ways = [list(takewhile(lambda one: one is not span, world.way_up(call.spans[0]))) for call in served]
        in_tools = all(any(one.kind == "tool" for one in way) for way in ways)
        sums = {name: sum(call.count(name) or 0 for call in served) for name in ("input", "output")}
        return in_tools and span.measured and any(total != (span.counts[name] or 0) for name, total in sums.items())

    def told_by(span: Seen) -> list[Call]:
        below = [call for child in candidates if nearest(child) is span for call in told_by(child)]
        served = [call for call in below if not call.failed]
        if served and asked(span, served):
            return [*below, Call([span])]
        if len(served) == 1:
            served[0].spans.append(span)
        elif not served and (not below or span.measured or not span.error):
            return [*below, Call([span])]
        return below

    return [call for span in candidates if nearest(span) is None for call in told_by(span)]


# Rule 4


def _joined(calls: list[Call], world: _World) -> list[Call]:
    left: list[Call] = []
    for same in (_same_id, _same_figures):
        left = []
        for call in sorted(calls, key=lambda one: (one.start, -one.end)):
            known = next((one for one in left if same(one, call)), None)
            if known is None:
                left.append(call)
            else:
                known.copies.append(call)
        calls = left
    return left


def _scopes(call: Call) -> set[str]:
    return {span.scope for span in call.everyone}


def _same_id(one: Call, other: Call) -> bool:
    return (
        one.spans[0].tenant == other.spans[0].tenant
        and one.text("response_id") != ""
        and one.text("response_id") == other.text("response_id")
    )


def _same_figures(one: Call, other: Call) -> bool:
    def place(call: Call) -> tuple[Any, ...]:
        tokens = call.count("input"), call.count("output") or 0  # embeddings have no output
        return call.spans[0].tenant, call.spans[0].service, call.model, *tokens

    return (
        place(one) == place(other)
        and (one.count("input") is not None or one.count("output") is not None)
        and not (one.text("response_id") and other.text("response_id"))
        and not _scopes(one) & _scopes(other)
        and one.start <= other.start
        and other.end <= one.end
    )


# Rules 5 to 7


def _standing(call: Call, world: _World) -> Seen:
    tellers = [call, *call.copies, *(again for copy in call.copies for again in copy.copies)]

    def rank(teller: Call) -> tuple[bool, bool, int]:
        spans = teller.spans
        return (
            not any(world.whose(span, "conversation") for span in spans),
            not any(world.whose(span, "user") for span in spans),
            teller.start,
        )

    return min(tellers, key=rank).spans[0]


def _amounts(call: Call) -> Amounts:
    if call.failed:
        return Amounts(failed_calls=1)
    state, cost = _cost(call)
    counts = {name: call.count(name) or 0 for name in COUNTS}
    return Amounts(
        llm_calls=1,
        input_tokens=counts["input"],
        cache_read_input_tokens=counts["read"],
        cache_write_input_tokens=counts["write"],
        output_tokens=counts["output"],
        reasoning_output_tokens=counts["reasoning"],
        cost_usd=cost,
        billed_calls=int(state == "billed"),
        computed_calls=int(state == "computed"),
        estimated_calls=int(state == "estimated"),
        unpriced_calls=int(state == "unpriced"),
    )


def _cost(call: Call) -> tuple[State, Decimal]:
    for span in call.everyone:
        if span.billed is not None:
            return "billed", span.billed
    price = PRICE.get(SNAPSHOTS.get(call.model, call.model))
    total, output = call.count("input"), call.count("output")
    if price is None or total is None or (output is None and price[3] != 0):
        return "unpriced", Decimal(0)
    read, write = call.count("read") or 0, call.count("write") or 0
    cost = (total - read - write) * price[0] + read * price[1] + write * price[2] + (output or 0) * price[3]
    return ("estimated" if any(span.estimated for span in call.everyone) else "computed"), cost


# Reading spans


def _read(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    for of_resource in request.resource_spans:
        resource = {one.key: _plain(one.value) for one in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                said = {one.key: _plain(one.value) for one in span.attributes}
                yield Seen(
                    tenant=str(resource.get("spanledger.tenant", "default")),
                    service=str(resource.get("service.name", "")),
                    scope=of_scope.scope.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    error=span.status.code == span.status.STATUS_CODE_ERROR,
                    **_meaning(said),
                )


def _plain(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    return None if which is None else getattr(value, which)


def _meaning(said: dict[str, Any]) -> dict[str, Any]:
    def text(*keys: str) -> str:
        return _first(str(said.get(key, "")) for key in keys)

    def count(*keys: str) -> int | None:
        return next((int(said[key]) for key in keys if key in said), None)

    billed = said.get("gen_ai.usage.cost.source") == "provider"
    return {
        "kind": _kind(said),
        "conversation": text("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"),
        "user": text("user.id", "enduser.id", "traceloop.association.properties.user_id"),
        "message": text("spanledger.message.id"),
        "tool": text("gen_ai.tool.name", "tool.name", "traceloop.entity.name"),
        "asked": text("gen_ai.request.model")
        or _inside(said, "llm.invocation_parameters", "model")
        or _inside(said, "embedding.invocation_parameters", "model"),
        "answered": text("gen_ai.response.model", "llm.model_name", "embedding.model_name"),
        "response_id": text("gen_ai.response.id") or _inside(said, "output.value", "id"),
        "counts": {
            "input": count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
            "read": count(
                "gen_ai.usage.cache_read.input_tokens",
                "gen_ai.usage.cache_read_input_tokens",
                "llm.token_count.prompt_details.cache_read",
            ),
            "write": count(
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation_input_tokens",
                "llm.token_count.prompt_details.cache_write",
            ),
            "output": count(
                "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"
            ),
            "reasoning": count(
                "gen_ai.usage.reasoning.output_tokens",
                "gen_ai.usage.completion_tokens_details.reasoning_tokens",
                "gen_ai.usage.reasoning_tokens",
                "llm.token_count.completion_details.reasoning",
            ),
        },
        "estimated": said.get("spanledger.usage.estimated") is True,
        "billed": Decimal(said["gen_ai.usage.cost.amount"]) if billed else None,
    }


def _kind(said: dict[str, Any]) -> str:
    words = {
        "chat": "chat",
        "LLM": "chat",
        "embeddings": "embeddings",
        "embedding": "embeddings",
        "EMBEDDING": "embeddings",
        "execute_tool": "tool",
        "TOOL": "tool",
        "tool": "tool",
    }
    keys = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type")
    return words.get(next((said[key] for key in keys if key in said), ""), "")


def _inside(said: dict[str, Any], key: str, name: str) -> str:
    return str(json.loads(said[key]).get(name, "")) if key in said else ""
