"""Computes the books of some traces from their spans alone.

A pure function: spans in, book and messages out. Settlement, audit and re-pricing all use it, so they cannot disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.anomalies import Anomaly, anomalies_of
from spanledger.books.calls import CALL_ROLES, USAGE, Call, Span
from spanledger.books.chains import Chains, Plain
from spanledger.books.columns import Columns
from spanledger.books.copies import TOLERANCE_NS, join_copies
from spanledger.books.costs import Cost, Prices
from spanledger.books.entries import Book, add, book_of, dims, lines_of, measures
from spanledger.books.forest import Bools, dicts
from spanledger.books.inheritance import Context, as_mask
from spanledger.books.messages import Message, Tool, message_rows, messages_in, messages_of
from spanledger.books.nested import calls_in_traces
from spanledger.books.tellings import name_by_price
from spanledger.books.tools import behind_tools, executions


@dataclass(frozen=True, slots=True)
class Joined:
    """Spans that report one call: the span that represents it, and the others (trace_id, span_id, scope)."""

    tenant: str
    trace_id: str
    span_id: str
    others: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Books:
    """The lines of the book, the messages, what was joined, and what was odd. `across`: tenant and two traces that tell
    of one call, the one that stands for it first."""

    lines: pa.Table
    message_rows: pa.Table
    joined_calls: Callable[[], list[Joined]]
    anomalies: list[Anomaly] = field(default_factory=list)
    across: frozenset[tuple[str, str, str]] = frozenset()

    @cached_property
    def book(self) -> Book:
        return book_of(self.lines)

    @cached_property
    def messages(self) -> dict[tuple[str, str, str], Message]:
        """By (tenant, conversation, message)."""
        found = messages_in(self.message_rows)
        return {(message.tenant, message.conversation_id, message.message_id): message for message in found}

    @cached_property
    def joined(self) -> list[Joined]:
        return self.joined_calls()


TELLING = ("tenant", "trace_id", "span_id", "scope")
# What calls, tools and anomalies are made of.
SPAN_COLUMNS = (
    *("tenant", "trace_id", "span_id", "started_at_ns", "duration_ns", "service", "scope", "dialect", "role"),
    *("operation", "provider", "request_model", "response_model", "response_id", "response_cache", "service_tier"),
    *(
        "parent_span_id",
        "server_address",
        "told_calls",
        "finish_reason",
        "status",
        "tool",
        "usage_estimated",
        "cost_claim_usd",
        "cost_claim_source",
        *USAGE,
    ),
)


def compute(table: pa.Table, prices: Prices) -> Books:
    """The books of the given spans.

    `table`: columns of genai_spans with `started_at_ns` in place of `started_at`, each span once, whole traces, and
    with every trace also those that hold copies of its calls.
    """
    if table.num_rows == 0:
        return Books(lines_of({}), message_rows(()), list)
    context = Context(table)
    plain = Plain(table, context, _candidates(table))
    columns = Columns(plain, prices)
    if not plain.odd.any():
        return _books(table, columns)
    odd = table.filter(pa.array(plain.odd[plain.trace]))
    books, calls = span_by_span(odd, prices)
    if _may_join(calls, columns.chains, plain):
        return span_by_span(table, prices)[0]
    return _both(_books(table, columns), books)


def _books(table: pa.Table, columns: Columns) -> Books:
    def joined() -> list[Joined]:
        chains = columns.reported_twice()
        inner = dicts(table, pa.array(chains.leaf), TELLING)
        outer = dicts(table, pa.array(chains.outer), TELLING)
        return [
            Joined(one["tenant"], one["trace_id"], one["span_id"], ((two["trace_id"], two["span_id"], two["scope"]),))
            for one, two in zip(inner, outer, strict=True)
        ]

    return Books(columns.lines(), columns.messages(), joined, columns.anomalies())


def _both(one: Books, two: Books) -> Books:
    return Books(
        pa.concat_tables([one.lines, two.lines]),
        pa.concat_tables([one.message_rows, two.message_rows]),
        lambda: one.joined + two.joined,
        one.anomalies + two.anomalies,
        one.across | two.across,
    )


def _may_join(calls: list[Call], chains: Chains, plain: Plain) -> bool:
    """Whether a call that was computed span by span may also have been computed by columns. The earlier check misses
    tokens that no single span reports, and times between those of its spans."""
    checked = [call for call in calls if len(call.rows) > 1 or call.estimated or call.copies or call.rested]
    if not checked or not len(chains.leaf):
        return False
    known = chains.by_tokens(plain)
    return any(
        start <= call.end_ns + TOLERANCE_NS and call.start_ns <= end + TOLERANCE_NS
        for call in checked
        for service in {one.service for one in call.tellings or (call,)}
        for start, end in known.get(
            (call.tenant, service, call.usage["input_tokens"] or 0, call.usage["output_tokens"] or 0), ()
        )
    )


def _candidates(table: pa.Table) -> Bools:
    """Spans that may report calls: they are a call, or have usage."""
    is_call = pc.is_in(table["role"].cast(pa.string()), value_set=pa.array(sorted(CALL_ROLES)))
    measured = pc.or_(pc.is_valid(table["input_tokens"]), pc.is_valid(table["output_tokens"]))
    return as_mask(pc.or_(is_call, measured))


def span_by_span(table: pa.Table, prices: Prices) -> tuple[Books, list[Call]]:
    """The same for any traces, plain or not, a span at a time; and the calls."""
    context = Context(table)
    candidate = _candidates(table)
    spans = _spans(table, candidate, context)
    above = context.forest.nearest_above(candidate)
    in_tool = set(behind_tools(table, context.forest, candidate).tolist())
    calls = join_copies(calls_in_traces(spans, {row: int(above[row]) for row in spans}, in_tool))

    for call in calls:
        name_by_price(call, lambda one: prices.cost(one).state != "unpriced")

    book: Book = {}
    costs = [(call, prices.cost(call)) for call in calls if not call.cached]
    for call, cost in costs:
        _post_call(book, call, context.at(call.row), cost)
    tools = _tool_rows(table, context)
    for _, span, values in tools:
        _post_tool(book, span, values)
    messages = messages_of(table, context, calls, tools)
    for message in messages.values():
        _post_message(book, message)
    joined = [_joined(call, spans) for call in calls if len(call.rows) > 1]
    served = [(call, cost) for call, cost in costs if not call.failed]
    odd = anomalies_of(table, context, served, spans)
    return Books(lines_of(book), message_rows(messages.values()), lambda: joined, odd, _across(calls, spans)), calls


def _across(calls: list[Call], spans: dict[int, Span]) -> frozenset[tuple[str, str, str]]:
    pairs = ((call, spans[row]["trace_id"]) for call in calls if len(call.rows) > 1 for row in call.rows)
    return frozenset((call.tenant, call.trace, trace) for call, trace in pairs if trace != call.trace)


def _spans(table: pa.Table, mask: Bools, context: Context) -> dict[int, Span]:
    rows = np.flatnonzero(mask)
    taken = dicts(table, pa.array(rows), SPAN_COLUMNS)
    conversations, users = context.values["conversation_id"].tolist(), context.values["user_id"].tolist()
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
        # A joined copy may have the conversation or user that the representing span lacks.
        **{k: values[k] for k in ("message_id", "workflow", "agent", "tool", "prompt", "prompt_version", "variant")},
        conversation_id=call.conversation,
        user_id=call.user,
    )
    if not served:
        add(book, key, measures(failed_calls=1, duration_ns=call.end_ns - call.start_ns))
        return
    claimed = call.claim_usd is not None
    amounts: dict[str, Any] = {
        "llm_calls": call.count,
        "input_tokens": usage["input_tokens"] or 0,
        "cache_read_input_tokens": usage["cache_read_input_tokens"] or 0,
        "cache_write_input_tokens": usage["cache_write_input_tokens"] or 0,
        "output_tokens": usage["output_tokens"] or 0,
        "reasoning_output_tokens": usage["reasoning_output_tokens"] or 0,
        "cost_usd": cost.usd,
        "claimed_usd": call.claim_usd if call.claim_usd is not None else Decimal(0),
        "claimed_calls": call.count if claimed else 0,
        cost.state + "_calls": call.count,
        "duration_ns": call.end_ns - call.start_ns,
    }
    add(book, key, measures(**amounts))


def _tool_rows(table: pa.Table, context: Context) -> list[Tool]:
    """Tool executions, each once."""
    rows = executions(table, context.forest).tolist()
    spans = dicts(table, pa.array(rows, pa.int64()), SPAN_COLUMNS)
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


def _post_message(book: Book, message: Message) -> None:
    """The user's message and, unless it failed or stands alone, the assistant's."""
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
    add(book, key, measures(messages=message.counted))


def _joined(call: Call, spans: dict[int, Span]) -> Joined:
    others = (spans[row] for row in call.rows if row != call.row)
    ordered = sorted((s["trace_id"], s["span_id"], s["scope"]) for s in others)
    return Joined(call.tenant, call.trace, call.span_id, tuple(ordered))
