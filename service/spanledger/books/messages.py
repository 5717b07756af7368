"""The messages that spans report, with everything but their usage."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from spanledger.books.calls import CALL_ROLES, Call, Span
from spanledger.books.forest import Texts, objects, values_of
from spanledger.books.inheritance import Context

_Columns = dict[str, list[Any]]
_Key = tuple[str, str, str]  # tenant, message, conversation
Tool = tuple[int, Span, dict[str, str]]  # row, span, inherited values
_MESSAGE_COLUMNS = (
    *("tenant", "trace_id", "span_id", "service", "role", "status", "error_type", "started_at_ns", "duration_ns"),
)
SINGLE = "message"  # the role of a span that is one message, not an exchange


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
    counted: int  # 2 for an exchange; 1 for a question that failed, or a message among people
    prompt: str = ""
    prompt_version: str = ""
    variant: str = ""


_KINDS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), tuple[str, ...]: pa.list_(pa.string())}
MESSAGES = {field.name: _KINDS[field.type] for field in fields(Message)}


def message_rows(messages: Iterable[Message]) -> pa.Table:
    """Messages as rows of their table."""
    some = list(messages)
    columns = {name: [getattr(one, name) for one in some] for name in MESSAGES}
    return pa.table({name: pa.array(columns[name], kind) for name, kind in MESSAGES.items()})


def messages_in(rows: pa.Table) -> list[Message]:
    """The messages of rows of their table."""
    found: list[dict[str, Any]] = rows.to_pylist()
    for row in found:
        row.update({name: tuple(value) for name, value in row.items() if isinstance(value, list)})
    return [Message(**row) for row in found]


def messages_of(
    table: pa.Table, context: Context, calls: list[Call], tools: list[Tool]
) -> dict[tuple[str, str, str], Message]:
    """Messages: those that spans name, and one for every trace that has a model call."""
    keys = _keys(objects(table["tenant"]), context, calls)
    wanted = {keys[row] for row in np.flatnonzero(context.explicit_message).tolist()}
    by_message: dict[_Key, list[Call]] = {}
    for call in calls:
        key = keys[call.row]
        by_message.setdefault(key, []).append(call)
        if call.role == "inference" or call.role not in CALL_ROLES:
            wanted.add(key)
    tools_of: dict[_Key, set[str]] = {}
    for row, span, _ in tools:
        if span["tool"]:
            tools_of.setdefault(keys[row], set()).add(span["tool"])
    rows_of: dict[_Key, list[int]] = {key: [] for key in sorted(wanted)}
    for row, key in enumerate(keys):
        if key in rows_of:
            rows_of[key].append(row)
    columns: _Columns = {name: values_of(table[name]) for name in _MESSAGE_COLUMNS}
    result = {}
    for key, rows in rows_of.items():
        message = _message(columns, context, rows, by_message.get(key, []), tuple(sorted(tools_of.get(key, ()))))
        result[message.tenant, message.conversation_id, message.message_id] = message
    return result


def _keys(tenants: Texts, context: Context, calls: list[Call]) -> list[_Key]:
    """Per row its tenant, message and, where spans name the message, conversation: applications count their messages
    1, 2, 3 in each. A row without a conversation belongs to the only one in which its message stands. A trace whose
    spans name no message is one message, or one in each of the conversations of its calls."""
    messages, conversations = context.values["message_id"], context.values["conversation_id"].copy()
    for call in calls:
        conversations[call.row] = conversations[call.row] or call.conversation
    of_traces: dict[tuple[str, str], set[str]] = {}
    for call in calls:
        if not context.explicit_message[call.row] and conversations[call.row]:
            of_traces.setdefault((tenants[call.row], messages[call.row]), set()).add(conversations[call.row])
    several = {key for key, names in of_traces.items() if len(names) > 1}
    if several:
        keys = zip(tenants.tolist(), messages.tolist(), strict=True)
        conversations[~context.explicit_message & np.array([key not in several for key in keys])] = ""
    else:
        conversations[~context.explicit_message] = ""
    found: dict[tuple[str, str], set[str]] = {}
    for row in np.flatnonzero(conversations != "").tolist():
        found.setdefault((tenants[row], messages[row]), set()).add(conversations[row])
    for row in np.flatnonzero(context.explicit_message & (conversations == "")).tolist():
        known = found.get((tenants[row], messages[row]), set())
        conversations[row] = next(iter(known)) if len(known) == 1 else ""
    return list(zip(tenants.tolist(), messages.tolist(), conversations.tolist(), strict=True))


def _message(
    columns: _Columns, context: Context, rows: list[int], calls: list[Call], tools: tuple[str, ...]
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
    values = context.first(rows)
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
        counted=1 if failed_message or columns["role"][top] == SINGLE else 2,
        prompt=values["prompt"],
        prompt_version=values["prompt_version"],
        variant=values["variant"],
    )
