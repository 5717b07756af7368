"""Interprets spans: the facts of genai_spans → its canonical columns.

Nothing here raises, whatever a sender's values are: an unusable value counts as unknown and leaves an anomaly. The
meaning of keys is data (clickhouse/dialects); facts.py finds values, identity.py and usage.py interpret them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from operator import itemgetter
from typing import Any, NamedTuple

from spanledger.dialects.amounts import claim, first_chunk, first_chunk_ns, saved
from spanledger.dialects.facts import Reading
from spanledger.dialects.identity import Ending, ending, names, response_id
from spanledger.dialects.lexicon import ANSWER, Lexicon, Shape, lexicon, squashed
from spanledger.dialects.recent import Recent
from spanledger.dialects.usage import COLUMNS, Case, case_of, counts_of, tokens
from spanledger.dialects.values import as_list

CANONICAL = (
    "dialect",
    "role",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "server_address",
    "service_tier",
    "stream",
    "finish_reason",
    "status",
    "error_type",
    "conversation_id",
    "message_id",
    "user_id",
    "correlation_id",
    "workflow",
    "agent",
    "tool",
    "tools_requested",
    "prompt",
    "prompt_version",
    "variant",
    *COLUMNS,
    "usage_estimated",
    "told_calls",
    "cost_claim_usd",
    "cost_claim_source",
    "response_cache",
    "saved_usd",
    "time_to_first_chunk_ns",
    "anomalies",
)
MAX_ID = 256
MAX_CONSTANT = 600  # characters of values to remember a kind of span by
_MOST_TOLD = 10_000
_MAX_KINDS = 8_000  # of each sort of memory; twice as many at most
_OTHER: dict[str, Any] = {
    **dict.fromkeys(
        ("dialect", "role", "operation", "provider", "request_model", "response_model", "server_address"), ""
    ),
    **dict.fromkeys(("service_tier", "finish_reason", "tool", "response_cache"), ""),
    "stream": 0,
}
OTHER_FIGURES: dict[str, Any] = {
    **dict.fromkeys((*COLUMNS, "told_calls", "cost_claim_usd", "saved_usd", "time_to_first_chunk_ns")),
    "response_id": "",
    "cost_claim_source": "",
    "usage_estimated": 0,
}
_in_order = itemgetter(*CANONICAL)


class SpanFacts(NamedTuple):
    """A span in its own words: facts as keys and their values, its times, and what the view found odd about it."""

    scope: str
    span_name: str
    status: str
    started_at_ns: int
    duration_ns: int
    anomalies: Sequence[str]
    keys: tuple[str, ...]
    values: Sequence[str]


class Kind(NamedTuple):
    """What spans share that differ in ids, figures and texts only."""

    words: dict[str, Any]
    end: Ending
    case: Case | None  # None: such a span has no figures


class Interpreter:
    """Reads spans by the given tables."""

    def __init__(self, by: Lexicon) -> None:
        self.by = by
        self._numbers = count()
        self._bases: Recent[Reading] = Recent(_MAX_KINDS)
        self._kinds: Recent[Kind] = Recent(_MAX_KINDS)
        self._rows: Recent[tuple[Any, ...]] = Recent(_MAX_KINDS)

    def columns(self, span: Mapping[str, Any]) -> dict[str, Any]:
        """The canonical columns of a row that has `facts` (pairs or a mapping) and the other fields of `SpanFacts`."""
        facts = span["facts"]
        pairs = list(facts.items() if isinstance(facts, Mapping) else facts)
        values = {name: span[name] for name in SpanFacts._fields[:6]}
        read = SpanFacts(**values, keys=tuple(key for key, _ in pairs), values=[value for _, value in pairs])
        return dict(zip(CANONICAL, self.row(read), strict=True))

    def row(self, span: SpanFacts) -> tuple[Any, ...]:
        """The canonical columns, in the order of CANONICAL."""
        values = span.values
        shape = self.by.shape(span.keys)
        constants = tuple([values[position] for position in shape.positions])
        is_alike = all(values[position] for position in shape.its_own) and sum(map(len, constants)) <= MAX_CONSTANT
        key = (shape.sort, span.scope, span.span_name, self.by.dialect_of(span.scope, shape.keys), *constants)
        if shape.shaped or not is_alike:
            read = Reading(self.by, shape, span.scope, span.span_name, values)
            read.searched()
            kind = self._kind_by_shape(key, read, span.status) if is_alike else _kind(read, span.status)
            return self._row(kind, read, span)
        if not shape.its_own and not shape.per_span_events and not span.anomalies:
            return self._same_row(key, shape, span)
        read = self._base(key, shape, span)
        has_found = read.searched()
        kind = self._kind_by_shape(key, read, span.status) if has_found else self.kind_of(read, span.status)
        return self._row(kind, read, span)

    def base(self, key: tuple[Any, ...], shape: Shape, span: SpanFacts) -> Reading:
        """A span that is read by its kind. `key`: by what `row` remembers such a kind."""
        return self._base(key, shape, span)

    def kind_of(self, read: Reading, status: str) -> Kind:
        """What spans of one base share when their texts hold the same facts."""
        whole = (read.base, status, read.text_facts())
        kind = self._kinds.get(whole)
        if kind is None:
            kind = self._kinds[whole] = _kind(read, status)
        return kind

    def _kind_by_shape(self, key: tuple[Any, ...], read: Reading, status: str) -> Kind:
        """The same of spans that have one `key` and were searched for usage by its shape."""
        whole = (key, status, read.by_its_shape(), read.text_facts())
        kind = self._kinds.get(whole)
        if kind is None:
            kind = self._kinds[whole] = _kind(read, status)
        return kind

    def _same_row(self, key: tuple[Any, ...], shape: Shape, span: SpanFacts) -> tuple[Any, ...]:
        """The row of spans that are equal in all values, ids and figures included."""
        row = self._rows.get((key, span.status))
        if row is None:
            read = self._base(key, shape, span)
            row = self._rows[key, span.status] = self._row(_kind(read, span.status), read, span)
        return row

    def through(self, read: Reading, span: SpanFacts) -> dict[str, Any]:
        """The canonical columns of a span as `read` finds its facts."""
        return dict(zip(CANONICAL, self._row(_kind(read, span.status), read, span), strict=True))

    def _base(self, key: tuple[Any, ...], shape: Shape, span: SpanFacts) -> Reading:
        base = self._bases.get(key)
        if base is None:
            base = Reading(self.by, shape, span.scope, span.span_name, span.values).without_values(next(self._numbers))
            self._bases[key] = base
        return base.again(shape, span.values)

    def _row(self, kind: Kind, read: Reading, span: SpanFacts) -> tuple[Any, ...]:
        anomalies: list[str] = list(span.anomalies)
        columns = kind.words | _ids(read, anomalies)
        columns |= OTHER_FIGURES if kind.case is None else _figures(read, kind, kind.case, span, anomalies)
        columns["anomalies"] = sorted(set(anomalies)) if anomalies else []
        row: tuple[Any, ...] = _in_order(columns)
        return row


def _kind(read: Reading, status: str) -> Kind:
    end = ending(read, status)
    words = _words(read, end)
    if not read.is_genai or words["operation"] == "count_tokens":
        return Kind(words, end, None)
    model = words["response_model"] or words["request_model"]
    return Kind(words, end, case_of(read, words["provider"], model, end))


@cache
def interpreter() -> Interpreter:
    """By the tables of this installation."""
    return Interpreter(lexicon())


def _words(read: Reading, end: Ending) -> dict[str, Any]:
    """The canonical columns other than ids and figures."""
    entity = read.own("entity")
    columns = {
        "workflow": read.own_or_nested("workflow") or (entity if read.role == "workflow" else ""),
        "agent": _agent(read, entity),
        "prompt": read.own_or_nested("prompt"),
        "prompt_version": read.own_or_nested("prompt_version"),
        "variant": _variant(read),
        "status": end.status,
        "error_type": end.error_type,
        "tools_requested": _tools_requested(read) if read.is_call else [],
    }
    if not read.is_genai:
        return columns | _OTHER
    who = names(read, end.status)
    return columns | {
        "dialect": read.dialect,
        "role": "other" if _only_counts(read) else read.role,
        "operation": "count_tokens" if _only_counts(read) else read.operation,
        "provider": who.provider,
        "request_model": who.request_model,
        "response_model": who.response_model,
        "server_address": who.server,
        "service_tier": _service_tier(read),
        "stream": int(end.is_stream),
        "finish_reason": end.finish_reason,
        "tool": _tool_name(read, entity) if read.role == "tool" else "",
        "response_cache": _response_cache(read),
    }


def _service_tier(read: Reading) -> str:
    """Anthropic says apart from the tier how fast a call was served, which decides its price."""
    is_fast = read.own_or_nested("speed").lower() == "fast"
    return "fast" if is_fast else read.own_or_nested("service_tier").lower()


def _figures(read: Reading, kind: Kind, case: Case, span: SpanFacts, anomalies: list[str]) -> dict[str, Any]:
    """Counts, costs and times of a span about GenAI, and the provider's id of a call."""
    provider = kind.words["provider"]
    amount, source = claim(read, provider, anomalies)
    columns = tokens(case, counts_of(read, anomalies), anomalies)
    columns["cost_claim_usd"], columns["cost_claim_source"] = amount, source
    columns["response_id"], columns["saved_usd"], columns["time_to_first_chunk_ns"] = "", None, None
    if read.is_call:
        columns["response_id"] = bounded("response_id", response_id(read), anomalies)
        columns["saved_usd"] = saved(read.own("saved"))
        columns["time_to_first_chunk_ns"] = first_chunk_ns(
            *(first_chunk(read), kind.end.is_stream, read.case("first_token_in_ms")),
            *(span.started_at_ns, span.duration_ns),
        )
    if read.by_shape:
        anomalies.append("found_by:shape")
    columns |= by_presence(read, kind, columns)
    if not read.is_call:
        columns["told_calls"] = told_calls(read.own_or_nested("told_calls"))
    return columns


def by_presence(read: Reading, kind: Kind, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that depend on which figures are present, not on their values."""
    found: dict[str, Any] = {"told_calls": 0 if read.is_call and not _shows(read, kind, columns) else None}
    is_blank = columns["input_tokens"] is None and columns["output_tokens"] is None
    is_blank &= columns["cost_claim_usd"] is None and columns["time_to_first_chunk_ns"] is None
    is_blank &= not columns["response_id"]
    if read.is_call and is_blank and kind.end.finish_reason == "error" and kind.end.status != "error":
        found |= {"status": "error", "error_type": kind.end.error_type or "error"}
    return found


def told_calls(text: str) -> int | None:
    """The number of calls that a span other than a call reports, from its attributes."""
    return int(text) if text.isdecimal() and 0 < int(text) < _MOST_TOLD else None


def _shows(read: Reading, kind: Kind, columns: Mapping[str, Any]) -> bool:
    """Whether a call span has an answer, usage or an id. Without any of them it does not prove a call; neither does a
    record of what a call has used."""
    if read.own("usage_record") == "model_call":
        return False
    return bool(
        columns["input_tokens"] is not None
        or columns["output_tokens"] is not None
        or columns["response_id"]
        or columns["cost_claim_usd"] is not None
        or columns["time_to_first_chunk_ns"] is not None
        or kind.end.finish_reason
        or kind.end.is_stream
        or kind.end.status == "error"
        or kind.words["tools_requested"]
        or read.own("answer")
        or read.own("output_messages")
        or (read.own("output") and not read.case("answers_apart"))
    )


def _only_counts(read: Reading) -> bool:
    """Whether the answer is a count of tokens, which is no call of a model."""
    if not read.is_call or read.role == "embedding" or read.own("output_tokens"):
        return False
    return read.fact("output", "object") == "response.input_tokens" or read.alone("output") == "counted"


def _agent(read: Reading, entity: str) -> str:
    name = read.own_or_nested("agent") or (entity if read.role == "agent" else "") or read.own_or_nested("node")
    return "" if squashed(name) in read.by.sets["placeholder_agents"] and read.role != "agent" else name


def _by_name(read: Reading) -> str:
    """The name of a tool by that of its span."""
    for _, scope, begin in read.by.tables.by_name:
        if read.name.startswith(begin) and read.scope.startswith(scope):
            return read.name[len(begin) :]
    return read.name


def _tool_name(read: Reading, entity: str) -> str:
    name = read.own_or_nested("tool") or entity or read.own("function") or _by_name(read)
    return name.partition("-")[2] or name if read.case("plugin_tools") else name


def _ids(read: Reading, anomalies: list[str]) -> dict[str, Any]:
    """The span's own conversation, message, user and correlation id."""
    conversation = read.own_or_nested("conversation_id")
    if conversation.startswith(ANSWER) and read.present:
        conversation = read.inside().get("conversation_id", "")
    if not conversation or conversation.startswith(ANSWER):
        conversation = read.own_or_nested("bare_conversation_id") if read.is_genai else ""
    user = read.own_or_nested("user_id") or (read.own_or_nested("bare_user_id") if read.is_genai else "")
    return {
        "conversation_id": conversation_id(conversation, anomalies),
        "message_id": bounded("message_id", read.own_or_nested("message_id"), anomalies),
        "user_id": bounded("user_id", user, anomalies),
        "correlation_id": correlation_id(read.own_or_nested("correlation_id"), anomalies),
    }


def conversation_id(text: str, anomalies: list[str]) -> str:
    """Excludes OpenAI's previous response ids (`resp_…`), which differ in each turn."""
    return bounded("conversation_id", "" if text.startswith(ANSWER) else text, anomalies)


def correlation_id(text: str, anomalies: list[str]) -> str:
    """Of a list (a header that was recorded), the first."""
    if text.startswith('["'):
        text = next((value for value in as_list(text) if isinstance(value, str)), "")
    return bounded("correlation_id", text, anomalies)


def _response_cache(read: Reading) -> str:
    """`hit`: a cache answered, no provider was called; `miss`: the cache had no answer; '': no cache was used."""
    word = read.own_or_nested("response_cache").lower() if read.is_call else ""
    return {"true": "hit", "1": "hit", "hit": "hit", "false": "miss", "0": "miss", "miss": "miss"}.get(word, "")


def _variant(read: Reading) -> str:
    """Variants of different experiments may share a name; with its experiment's before it, it stands alone."""
    experiment, variant = read.own("experiment"), read.own_or_nested("variant")
    return f"{experiment}/{variant}" if experiment and variant else variant


def bounded(field: str, value: str, anomalies: list[str]) -> str:
    """An id of at most MAX_ID characters; longer ones are cut, but stay apart."""
    if len(value) <= MAX_ID:
        return value
    anomalies.append("long:" + field)
    return f"{value[:200]}~{hashlib.sha256(value.encode(errors='replace')).hexdigest()[:16]}"


def _tools_requested(read: Reading) -> list[str]:
    """The tools that the model requested in its answer."""
    return sorted(
        {name for name in (read.own_or_nested("tool"), *read.requested_tools, *read.tools_in_texts()) if name}
    )
