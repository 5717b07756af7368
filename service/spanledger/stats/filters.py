"""Filters of message lists, and their SQL conditions on the tables that are ordered by time.

A condition is a fixed piece of SQL with bound parameters; a filter that is not given adds nothing to the statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from spanledger.stats.times import ALL_TIME, Window
from spanledger.store import queries

EXISTS = "*"


@dataclass(frozen=True)
class Range:
    """`least` ≤ value ≤ `most`; None: no bound."""

    least: Decimal | None = None
    most: Decimal | None = None

    @property
    def is_open(self) -> bool:
        return self.least is None and self.most is None


@dataclass(frozen=True)
class Filter:
    """What is wanted of messages. Several values of one name are alternatives; different names all hold.

    `attributes`: key → values of any span of the message; `*` at the end: begins so, `*` alone: is there.
    `text`: all its words stand in the content that was kept.
    """

    window: Window = ALL_TIME
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cost_usd: Range = Range()
    tokens: Range = Range()
    duration_ms: Range = Range()
    text: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing but the window bounds it."""
        ranges = (self.cost_usd, self.tokens, self.duration_ms)
        return not (self.equal or self.attributes or self.text) and all(one.is_open for one in ranges)

    @property
    def is_narrow(self) -> bool:
        """Whether it names what has few messages."""
        return not self.equal.keys().isdisjoint(("user", "conversation", "message", "trace", "correlation"))

    @property
    def is_of_users(self) -> bool:
        """Whether nothing but the window and users bound it."""
        return self.equal.keys() == {"user"} and replace(self, equal={}).is_open

    @property
    def looks_inside(self) -> bool:
        """Whether calls or raw spans have to be looked at."""
        return bool(self.attributes or self.text or "operation" in self.equal)

    @property
    def needs_usage(self) -> bool:
        return not (self.cost_usd.is_open and self.tokens.is_open) or "cost_state" in self.equal


# Names of `equal` → the condition on a row of message_list.
_ROW = {
    "user": "user_id IN {user:Array(String)}",
    "conversation": "conversation_id IN {conversation:Array(String)}",
    "message": "message_id IN {message:Array(String)}",
    "trace": "trace_id IN {trace:Array(String)}",
    "correlation": "correlation_id IN {correlation:Array(String)}",
    "service": "service IN {service:Array(String)}",
    "workflow": "workflow IN {workflow:Array(String)}",
    "agent": "agent IN {agent:Array(String)}",
    "error_type": "error_type IN {error_type:Array(String)}",
    "prompt": "prompt IN {prompt:Array(String)}",
    "prompt_version": "prompt_version IN {prompt_version:Array(String)}",
    "variant": "variant IN {variant:Array(String)}",
    "status": "if(error_type = 'abandoned', 'abandoned', status::String) IN {status:Array(String)}",
    "model": "hasAny(models, {model:Array(String)})",
    "provider": "hasAny(providers, {provider:Array(String)})",
    "tool": "hasAny(tools, {tool:Array(String)})",
}
# … on the calls and tool runs of a message.
_CALL = {
    "operation": "operation IN {operation:Array(String)}",
}
_COST_STATE = """multiIf(
    (billed_calls > 0) + (computed_calls > 0) + (estimated_calls > 0) + (unpriced_calls > 0) > 1, 'mixed',
    billed_calls > 0, 'billed', estimated_calls > 0, 'estimated', unpriced_calls > 0, 'unpriced', 'computed')"""
NAMES = (*_ROW, *_CALL, "cost_state", "feedback")

# A copy of a call may begin a little before the message that it belongs to.
_CALLS_IN_REACH = """
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano(greatest({first_ns:Int64}, -9000000000000000000) - 900000000000, 'UTC')
    AND started_at <=
        fromUnixTimestamp64Nano(least({last_ns:Int64}, 9000000000000000000 - {longest_ns:Int64})
            + {longest_ns:Int64}, 'UTC')
"""
_LIVE = {
    False: """(
        SELECT started_at, conversation_id, message_id FROM message_times
        WHERE tenant = {tenant:String}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        GROUP BY started_at, conversation_id, message_id
        HAVING sum(messages) > 0)""",
    True: """(
        SELECT started_at, conversation_id, message_id FROM messages_by_user
        WHERE tenant = {tenant:String} AND user_id IN {user:Array(String)}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        GROUP BY started_at, conversation_id, message_id
        HAVING sum(messages) > 0)""",
}
_FEEDBACK = f"""(
        SELECT message_id FROM evaluations FINAL
        WHERE tenant = {{tenant:String}} AND name = 'feedback' AND {queries.sql("parts/is_sealed")}
        GROUP BY message_id, user_id
        HAVING argMax(label, evaluated_at) IN {{feedback:Array(String)}})"""
_RAW_IN_REACH = """
    Tenant = {tenant:String}
    AND Timestamp >= fromUnixTimestamp64Nano(greatest({first_ns:Int64}, -9000000000000000000) - 900000000000, 'UTC')
    AND Timestamp <=
        fromUnixTimestamp64Nano(least({last_ns:Int64}, 9000000000000000000 - {longest_ns:Int64})
            + {longest_ns:Int64}, 'UTC')
"""


def conditions(criteria: Filter, all_live: bool = False) -> tuple[list[str], dict[str, Any]]:
    """Conditions on rows of message_list, and the parameters that they bind (beside tenant, first_ns, last_ns and
    longest_ns, the duration of the longest message of the window). `all_live`: no row of the window is of a message
    that has moved."""
    found = (
        ["true"] if all_live else [f"(started_at, conversation_id, message_id) IN {_LIVE['user' in criteria.equal]}"]
    )
    bound: dict[str, Any] = {name: list(values) for name, values in criteria.equal.items()}
    found += [_ROW[name] for name in criteria.equal if name in _ROW]
    calls = [_CALL[name] for name in criteria.equal if name in _CALL]
    if calls:
        found.append(
            "(conversation_id, message_id) IN (SELECT conversation_id, message_id FROM calls_by_time WHERE "
            f"{_CALLS_IN_REACH} AND {' AND '.join(calls)} GROUP BY ALL "
            "HAVING sum(llm_calls + failed_calls + tool_calls) > 0)"
        )
    if "feedback" in criteria.equal:
        found.append(f"message_id IN {_FEEDBACK}")
    for number, (key, values) in enumerate(criteria.attributes.items()):
        found.append(_attribute(number, key, values, bound))
    found += _range("duration_ns", criteria.duration_ms, Decimal(1_000_000), bound)
    if criteria.text:
        bound["words"] = [word.lower() for word in criteria.text.split()]
        found.append(_TEXT)
    return found, bound


_TEXT = f"""trace_id IN (
        SELECT TraceId FROM otel_traces
        WHERE {_RAW_IN_REACH}
        GROUP BY TraceId
        HAVING length(groupUniqArrayArray(arrayFilter(
            word -> arrayExists(value -> positionCaseInsensitiveUTF8(value, word) > 0, arrayConcat(
                mapValues(SpanAttributes), arrayFlatten(arrayMap(a -> mapValues(a), Events.Attributes)))),
            {{words:Array(String)}}))) = length(arrayDistinct({{words:Array(String)}})))"""


def usage_conditions(criteria: Filter, bound: dict[str, Any]) -> list[str]:
    """Conditions on what a message used (`usage` columns of the joined sums); their parameters go to `bound`."""
    found = _range("cost_usd", criteria.cost_usd, Decimal(1), bound, "Decimal(38, 15)")
    found += _range("input_tokens + output_tokens", criteria.tokens, Decimal(1), bound)
    if "cost_state" in criteria.equal:
        bound["cost_state"] = list(criteria.equal["cost_state"])
        found.append(f"{_COST_STATE} IN {{cost_state:Array(String)}}")
    return found


def _range(what: str, wanted: Range, unit: Decimal, bound: dict[str, Any], kind: str = "Int64") -> list[str]:
    found = []
    for word, sign, value in (("least", ">=", wanted.least), ("most", "<=", wanted.most)):
        if value is None:
            continue
        name = f"{word}_{what.split(' ')[0]}"
        scaled = value * unit
        if kind == "Int64":
            whole = int(scaled)
            bound[name] = whole + 1 if word == "least" and scaled > whole else whole
        else:
            bound[name] = format(scaled, "f")
        found.append(f"{what} {sign} {{{name}:{kind}}}")
    return found


def attribute_matches(values: Sequence[str], key: str, prefix: str, bound: dict[str, Any]) -> str:
    """The condition on a map of attributes; `key` and the values are bound under names that begin with `prefix`."""
    bound[f"{prefix}_key"] = key
    bound[f"{prefix}_exact"] = [value for value in values if not value.endswith(EXISTS)]
    bound[f"{prefix}_begins"] = [value[:-1] for value in values if value.endswith(EXISTS)]
    attribute = f"SpanAttributes[{{{prefix}_key:String}}]"
    return (
        f"mapContains(SpanAttributes, {{{prefix}_key:String}}) AND (has({{{prefix}_exact:Array(String)}}, {attribute}) "
        f"OR arrayExists(b -> startsWith({attribute}, b), {{{prefix}_begins:Array(String)}}))"
    )


def _attribute(number: int, key: str, values: Sequence[str], bound: dict[str, Any]) -> str:
    matches = attribute_matches(values, key, f"attribute_{number}", bound)
    return f"trace_id IN (SELECT TraceId FROM otel_traces WHERE {_RAW_IN_REACH} AND {matches})"


def calls_in_reach() -> str:
    """The condition on calls_by_time: those that messages of the window can have."""
    return _CALLS_IN_REACH
