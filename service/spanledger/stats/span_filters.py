"""Filters of spans, as conditions on the raw spans and on the canonical columns derived from them.

A condition is a fixed piece of SQL with bound parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanledger.stats.filters import attribute_matches
from spanledger.stats.times import ALL_TIME, Window

# Names → the condition on a canonical span (genai_spans).
_RECEIVED = {"service": ("ServiceName", "service"), "name": ("SpanName", "span_name"), "scope": ("ScopeName", "scope")}
CANONICAL = {
    "trace": "trace_id IN {trace:Array(String)}",
    "span": "span_id IN {span:Array(String)}",
    "role": "role IN {role:Array(String)}",
    "operation": "operation IN {operation:Array(String)}",
    "provider": "provider IN {provider:Array(String)}",
    "model": "(response_model IN {model:Array(String)}"
    " OR response_model = '' AND request_model IN {model:Array(String)})",
    "status": "status IN {status:Array(String)}",
    "error_type": "error_type IN {error_type:Array(String)}",
    "conversation": "conversation_id IN {conversation:Array(String)}",
    "message": "message_id IN {message:Array(String)}",
    "user": "user_id IN {user:Array(String)}",
    "correlation": "correlation_id IN {correlation:Array(String)}",
    "workflow": "workflow IN {workflow:Array(String)}",
    "agent": "agent IN {agent:Array(String)}",
    "tool": "tool IN {tool:Array(String)}",
    "prompt": "prompt IN {prompt:Array(String)}",
    "prompt_version": "prompt_version IN {prompt_version:Array(String)}",
    "variant": "variant IN {variant:Array(String)}",
    "response": "response_id IN {response:Array(String)}",
}
_IDS = frozenset({"trace", "span", "conversation", "message", "user", "correlation", "response"})
NAMES = (*_RECEIVED, *CANONICAL)


@dataclass(frozen=True)
class SpanFilter:
    """What is wanted of spans, by what each says itself (nothing is inherited). See Filter for `attributes`."""

    window: Window = ALL_TIME
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    least_ms: float | None = None
    most_ms: float | None = None

    @property
    def is_canonical(self) -> bool:
        """Whether it asks what the books read in spans, not only what was received."""
        return any(name in self.equal for name in CANONICAL)

    @property
    def has_ids(self) -> bool:
        """Whether an index of genai_spans locates the spans."""
        return not _IDS.isdisjoint(self.equal)


def bound_of(criteria: SpanFilter) -> dict[str, Any]:
    """The parameters that all conditions of the filter bind."""
    bound: dict[str, Any] = {name: list(values) for name, values in criteria.equal.items()}
    for name, value in (("least_ns", criteria.least_ms), ("most_ns", criteria.most_ms)):
        if value is not None:
            bound[name] = round(value * 1_000_000)
    for number, (key, values) in enumerate(criteria.attributes.items()):
        attribute_matches(values, key, f"attribute_{number}", bound)
    return bound


def received(criteria: SpanFilter) -> list[str]:
    """Conditions on a row of otel_traces."""
    where = [
        f"{column} IN {{{name}:Array(String)}}" for name, (column, _) in _RECEIVED.items() if name in criteria.equal
    ]
    return [*where, *_durations("Duration", criteria), *attributes(criteria)]


def attributes(criteria: SpanFilter) -> list[str]:
    """… on its attributes alone."""
    return [
        attribute_matches(values, key, f"attribute_{number}", {})
        for number, (key, values) in enumerate(criteria.attributes.items())
    ]


def canonical(criteria: SpanFilter) -> list[str]:
    """Conditions on a row of genai_spans."""
    where = [
        f"{column} IN {{{name}:Array(String)}}" for name, (_, column) in _RECEIVED.items() if name in criteria.equal
    ]
    where += [condition for name, condition in CANONICAL.items() if name in criteria.equal]
    return [*where, *_durations("duration_ns", criteria)]


def columns(criteria: SpanFilter) -> list[str]:
    """The columns of genai_spans that those conditions are about, beside its key."""
    columns = {"model": ("request_model", "response_model"), "trace": (), "span": ()}
    ids = {name: (f"{name}_id",) for name in ("conversation", "message", "user", "correlation", "response")}
    received = {name: (column,) for name, (_, column) in _RECEIVED.items()}
    by_name = ids | received | columns
    return ["duration_ns", *(column for name in criteria.equal for column in by_name.get(name, (name,)))]


def _durations(column: str, criteria: SpanFilter) -> list[str]:
    given = (("least_ns", ">=", criteria.least_ms), ("most_ns", "<=", criteria.most_ms))
    return [f"{column} {sign} {{{name}:Int64}}" for name, sign, value in given if value is not None]
