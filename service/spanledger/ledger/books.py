"""What the books should say about some traces, computed from their spans alone.

A pure function: spans in, book and messages out. Settlement, audit and re-pricing all ask it, so they cannot disagree.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.ledger.calls import CALL_ROLES, Call, Span, calls_in_traces, join_copies
from spanledger.ledger.entries import Book, add, dims, measures
from spanledger.ledger.forest import Bools, Forest, Texts

INHERITED = (
    "conversation_id",
    "user_id",
    "message_id",
    "correlation_id",
    "workflow",
    "agent",
    "prompt",
    "prompt_version",
    "variant",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """A call's price: state billed | computed | estimated | unpriced, the amount, and the price book that said so."""

    state: str
    usd: Decimal
    book: str


class Prices(Protocol):
    """Prices as settlement needs them."""

    def cost(self, call: Call) -> Cost: ...


@dataclass(frozen=True, slots=True)
class Message:
    """What is known of a message beside its usage; the fields are the columns of table `messages`."""

    tenant: str
    conversation_id: str
    message_id: str
    trace_id: str
    user_id: str
    correlation_id: str
    service: str
    workflow: str
    agent: str
    started_at_ns: int
    duration_ns: int
    status: str
    error_type: str
    providers: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    prompt: str = ""
    prompt_version: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """Spans that tell of one call: the one that stands for it, and the others (trace_id, span_id, scope)."""

    tenant: str
    trace_id: str
    span_id: str
    others: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Books:
    """The book, the messages by (tenant, conversation, message), and what was joined."""

    book: Book
    messages: dict[tuple[str, str, str], Message]
    joined: list[Joined]


_Columns = dict[str, list[Any]]
_MessageKey = tuple[str, str, str]  # tenant, message, conversation
_Tool = tuple[int, Span, dict[str, str]]  # row, span, inherited values
_MESSAGE_COLUMNS = ("tenant", "trace_id", "span_id", "service", "status", "error_type", "started_at_ns", "duration_ns")


class _Context:
    """The forest with every inherited value, per row."""

    def __init__(self, table: pa.Table) -> None:
        self.forest = Forest(table)
        self.parents: list[int] = self.forest.parent.tolist()
        self.values: dict[str, Texts] = {name: self.forest.inherited(name) for name in INHERITED}
        # A tool's name reaches the calls made inside it, not its siblings.
        self.values["tool"] = self.forest.inherited("tool", whole_trace=False)
        explicit = self.values["message_id"]
        traces = _objects(table, "trace_id")
        self.explicit_message: Bools = explicit != ""
        self.values["message_id"] = np.where(self.explicit_message, explicit, traces)

    def at(self, row: int) -> dict[str, str]:
        return {name: values[row] for name, values in self.values.items()}


def compute(table: pa.Table, prices: Prices) -> Books:
    """The books of the given spans.

    `table`: columns of genai_spans with `started_at_ns` in place of `started_at`, each span once, whole traces, and
    with every trace also those that hold copies of its calls.
    """
    if table.num_rows == 0:
        return Books({}, {}, [])
    context = _Context(table)
    roles = table["role"].cast(pa.string())
    is_call = pc.is_in(roles, value_set=pa.array(sorted(CALL_ROLES)))
    measured = pc.or_(pc.is_valid(table["input_tokens"]), pc.is_valid(table["output_tokens"]))
    candidate = _mask(pc.or_(is_call, measured))
    spans = _spans(table, candidate, context)
    above = context.forest.nearest_above(candidate)
    calls = join_copies(calls_in_traces(spans, {row: int(above[row]) for row in spans}))

    book: Book = {}
    for call in (call for call in calls if not call.cached):
        _post_call(book, call, context.at(call.row), prices.cost(call))
    tools = _tool_rows(table, context)
    for _, span, values in tools:
        _post_tool(book, span, values)
    messages = _messages(table, context, calls, tools)
    for message in messages.values():
        _post_message(book, message)
    return Books(book, messages, [_joined(call, spans) for call in calls if len(call.rows) > 1])


def _spans(table: pa.Table, mask: Bools, context: _Context) -> dict[int, Span]:
    rows = np.flatnonzero(mask)
    taken = table.take(pa.array(rows)).to_pylist()
    conversations, users = context.values["conversation_id"], context.values["user_id"]
    for row, span in zip(rows, taken, strict=True):
        span["conversation_id"] = conversations[row]
        span["user_id"] = users[row]
    return dict(zip(rows.tolist(), taken, strict=True))


def _post_call(book: Book, call: Call, values: dict[str, str], cost: Cost) -> None:
    usage = call.usage
    served = not call.failed
    key = dims(
        kind="call",
        tenant=call.tenant,
        trace_id=call.trace,
        span_id=call.span_id,
        started_at_ns=call.start_ns,
        service=call.service,
        operation=call.operation,
        provider=call.provider,
        model=call.model,
        status="error" if call.error else "ok",
        cost_state=cost.state if served else "",
        price_book=cost.book if served else "",
        # A joined copy may know the conversation or user that the span which stands for the call does not.
        **{k: values[k] for k in ("message_id", "workflow", "agent", "tool", "prompt", "prompt_version", "variant")},
        conversation_id=values["conversation_id"] or call.conversation,
        user_id=values["user_id"] or call.user,
    )
    if not served:
        add(book, key, measures(failed_calls=1, duration_ns=call.end_ns - call.start_ns))
        return
    claimed = call.claim_usd is not None
    amounts: dict[str, Any] = {
        "llm_calls": 1,
        "input_tokens": usage["input_tokens"] or 0,
        "cache_read_input_tokens": usage["cache_read_input_tokens"] or 0,
        "cache_write_input_tokens": usage["cache_write_input_tokens"] or 0,
        "output_tokens": usage["output_tokens"] or 0,
        "reasoning_output_tokens": usage["reasoning_output_tokens"] or 0,
        "cost_usd": cost.usd,
        "claimed_usd": call.claim_usd if call.claim_usd is not None else Decimal(0),
        "claimed_calls": int(claimed),
        cost.state + "_calls": 1,
        "duration_ns": call.end_ns - call.start_ns,
    }
    add(book, key, measures(**amounts))


def _tool_rows(table: pa.Table, context: _Context) -> list[_Tool]:
    """Tool executions, innermost first told: a tool span below one of the same name repeats it."""
    mask = _mask(pc.equal(table["role"].cast(pa.string()), "tool"))
    if not mask.any():
        return []
    outer = context.forest.nearest_above(mask)
    names = _objects(table, "tool")
    rows = [r for r in np.flatnonzero(mask).tolist() if outer[r] < 0 or names[outer[r]] != names[r]]
    spans = table.take(pa.array(rows, pa.int64())).to_pylist()
    return [(row, span, context.at(row)) for row, span in zip(rows, spans, strict=True)]


def _post_tool(book: Book, span: Span, values: dict[str, str]) -> None:
    failed = span["status"] == "error"
    key = dims(
        kind="tool",
        tenant=span["tenant"],
        trace_id=span["trace_id"],
        span_id=span["span_id"],
        started_at_ns=span["started_at_ns"],
        service=span["service"],
        operation="execute_tool",
        status="error" if failed else "ok",
        **{k: v for k, v in values.items() if k != "correlation_id"},
    )
    add(book, key, measures(tool_calls=1, failed_tool_calls=int(failed), duration_ns=span["duration_ns"]))


def _messages(
    table: pa.Table, context: _Context, calls: list[Call], tools: list[_Tool]
) -> dict[tuple[str, str, str], Message]:
    """Messages: those that spans name, and every trace in which a model was asked for an answer."""
    keys = _message_keys(_objects(table, "tenant"), context, calls)
    wanted = {keys[row] for row in np.flatnonzero(context.explicit_message).tolist()}
    by_message: dict[_MessageKey, list[Call]] = {}
    for call in calls:
        key = keys[call.row]
        by_message.setdefault(key, []).append(call)
        if call.role == "inference" or call.role not in CALL_ROLES:
            wanted.add(key)
    tools_of: dict[_MessageKey, set[str]] = {}
    for row, span, _ in tools:
        if span["tool"]:
            tools_of.setdefault(keys[row], set()).add(span["tool"])
    rows_of: dict[_MessageKey, list[int]] = {key: [] for key in sorted(wanted)}
    for row, key in enumerate(keys):
        if key in rows_of:
            rows_of[key].append(row)
    columns: _Columns = {name: table[name].to_pylist() for name in _MESSAGE_COLUMNS}
    result = {}
    for key, rows in rows_of.items():
        message = _message(columns, context, rows, by_message.get(key, []), tuple(sorted(tools_of.get(key, ()))))
        result[message.tenant, message.conversation_id, message.message_id] = message
    return result


def _message_keys(tenants: Texts, context: _Context, calls: list[Call]) -> list[_MessageKey]:
    """Per row its tenant, message and, where spans name the message, conversation: applications count their messages
    1, 2, 3 in each. A row that knows no conversation belongs to the only one in which its message stands."""
    messages, conversations = context.values["message_id"], context.values["conversation_id"].copy()
    for call in calls:
        conversations[call.row] = conversations[call.row] or call.conversation
    conversations[~context.explicit_message] = ""
    found: dict[tuple[str, str], set[str]] = {}
    for row in np.flatnonzero(conversations != "").tolist():
        found.setdefault((tenants[row], messages[row]), set()).add(conversations[row])
    for row in np.flatnonzero(context.explicit_message & (conversations == "")).tolist():
        known = found.get((tenants[row], messages[row]), set())
        conversations[row] = next(iter(known)) if len(known) == 1 else ""
    return list(zip(tenants.tolist(), messages.tolist(), conversations.tolist(), strict=True))


def _message(
    columns: _Columns, context: _Context, rows: list[int], calls: list[Call], tools: tuple[str, ...]
) -> Message:
    starts, durations, status = columns["started_at_ns"], columns["duration_ns"], columns["status"]
    rows = sorted(rows, key=lambda r: (starts[r], columns["trace_id"][r], columns["span_id"][r]))
    parent, members = context.parents, set(rows)
    tops = [r for r in rows if parent[r] not in members]
    top = tops[0]
    failed = [r for r in tops if status[r] == "error"]
    # A failed request may leave its top span unset: a message none of whose calls was answered has failed too.
    failed_message = bool(failed) or (bool(calls) and all(c.error for c in calls))
    errors = (columns["error_type"][r] for r in (*failed, *rows))
    start = starts[rows[0]]
    values = {name: next((v for r in rows if (v := column[r])), "") for name, column in context.values.items()}
    return Message(
        tenant=columns["tenant"][top],
        conversation_id=values["conversation_id"] or next((c.conversation for c in calls if c.conversation), ""),
        message_id=values["message_id"],
        trace_id=columns["trace_id"][top],
        user_id=values["user_id"] or next((c.user for c in calls if c.user), ""),
        correlation_id=values["correlation_id"],
        service=columns["service"][top],
        workflow=values["workflow"],
        agent=values["agent"],
        started_at_ns=start,
        duration_ns=max(starts[r] + durations[r] for r in rows) - start,
        status="error" if failed_message else "ok",
        error_type=next((e for e in errors if e), "") if failed_message else "",
        providers=tuple(sorted({c.provider for c in calls if c.provider})),
        models=tuple(
            sorted({c.model for c in calls if c.model and not c.failed} or {c.model for c in calls if c.model})
        ),
        tools=tools,
        prompt=values["prompt"],
        prompt_version=values["prompt_version"],
        variant=values["variant"],
    )


def _post_message(book: Book, message: Message) -> None:
    """The user's message and, unless it failed, the assistant's."""
    key = dims(
        kind="message",
        tenant=message.tenant,
        trace_id=message.trace_id,
        started_at_ns=message.started_at_ns,
        conversation_id=message.conversation_id,
        message_id=message.message_id,
        user_id=message.user_id,
        service=message.service,
        workflow=message.workflow,
        agent=message.agent,
        status=message.status,
    )
    add(book, key, measures(messages=1 if message.status == "error" else 2))


def _joined(call: Call, spans: dict[int, Span]) -> Joined:
    others = (spans[row] for row in call.rows if row != call.row)
    told = sorted((s["trace_id"], s["span_id"], s["scope"]) for s in others)
    return Joined(call.tenant, call.trace, call.span_id, tuple(told))


def _mask(array: Any) -> Bools:
    combined = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    mask: Bools = combined.to_numpy(zero_copy_only=False).astype(bool)
    return mask


def _objects(table: pa.Table, name: str) -> Texts:
    values: Texts = np.array(table[name].to_pylist(), dtype=object)
    return values
