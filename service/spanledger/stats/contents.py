"""Content of the messages of a conversation, where spans carry it: text, tool calls and their results."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from spanledger.foreign import json_text
from spanledger.stats.conversations import rows_of
from spanledger.stats.times import Window, format_time
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.store.threads import threads_for

MAX_SPANS = 2_000
MAX_BYTES = 16_000_000  # of the spans of an answer
MAX_INPUT_BYTES = 256_000  # of one message whose beginning stands in a list
MAX_PIECES = 200  # of one message


@dataclass(frozen=True)
class Piece:
    """`kind` is `text`, `tool_call` or `tool_result`; `name` that of the tool. `characters`: before the cut."""

    role: str
    kind: str
    name: str
    text: str
    characters: int
    at: str
    span_id: str


@dataclass(frozen=True)
class Said:
    message_id: str
    trace_id: str
    pieces: list[Piece]


@dataclass(frozen=True)
class Contents:
    """By message, in time order; messages without content are not listed. `left_out`: bytes of spans for which the
    answer has no room; a smaller `limit` shows them, as far as one message alone does not have more."""

    items: list[Said]
    next_cursor: str | None
    left_out: int


def contents(
    store: Store, tenant: str, conversation_id: str, limit: int = 100, cursor: str | None = None, cut: int = 4000
) -> Contents:
    """The same page as `messages` with this limit and cursor. Raises NotFound, BadRequest."""
    page, more = rows_of(store, tenant, conversation_id, limit, cursor)
    trace_ids = [row["trace_id"] for row in page if row["trace_id"]]
    rows, left_out = rows_with_content(store, tenant, trace_ids)
    rows.sort(key=lambda row: (row["trace_id"], row["at_ns"], row["span_id"]))
    texts = {
        trace_id: list(_pieces(list(spans), cut))[:MAX_PIECES]
        for trace_id, spans in groupby(rows, key=lambda row: row["trace_id"])
    }
    items = [
        Said(row["message_id"], row["trace_id"], texts[row["trace_id"]]) for row in page if texts.get(row["trace_id"])
    ]
    return Contents(items, more, left_out)


def rows_with_content(store: Store, tenant: str, trace_ids: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """`trace_id`, `span_id`, `at_ns`, `input_messages`, `output_messages` (JSON) of the first
    spans with content, in time order, and how many bytes the others have: those for which MAX_BYTES leave no room."""
    of_traces = {"tenant": tenant, "trace_ids": list(trace_ids)}
    settings = threads_for(trace_ids)
    sizes = store.query(queries.sql("conversation_content_sizes"), {**of_traces, "limit": MAX_SPANS}, settings)
    kept, room, left_out = [], MAX_BYTES, 0
    for _, span_id, size in sizes:
        if size <= room:
            kept.append(span_id)
            room -= size
        else:
            left_out += size
    if not kept:
        return [], left_out
    return store.dicts(queries.sql("conversation_content"), {**of_traces, "span_ids": kept}, settings), left_out


def questions_of(store: Store, tenant: str, trace_ids: Sequence[str], around: Window, cut: int) -> dict[str, str]:
    """By trace the beginning of its last user turn, where spans carry content. `around`: when the spans started."""
    wanted = {"tenant": tenant, "trace_ids": list(trace_ids), "most": MAX_INPUT_BYTES, **around.bounds()}
    rows = store.dicts(queries.sql("message_inputs"), wanted)
    found: dict[str, str] = {}
    for row in rows:
        users = [piece for piece in _parts(row | {"output_messages": ""}, "input_messages") if piece.role == "user"]
        if users:
            found[row["trace_id"]] = users[-1].text[:cut]
    return found


def exchange(store: Store, tenant: str, trace_id: str) -> tuple[str | None, str | None]:
    """The question and the last answer of a message's trace, as far as its spans carry them."""
    rows, _ = rows_with_content(store, tenant, [trace_id])
    rows.sort(key=lambda row: (row["at_ns"], row["span_id"]))
    texts = [piece for piece in _pieces(rows, 0) if piece.kind == "text"]
    question = next((piece.text for piece in texts if piece.role == "user"), None)
    return question, next((piece.text for piece in reversed(texts) if piece.role == "assistant"), None)


def _pieces(spans: Sequence[Mapping[str, Any]], cut: int) -> Iterator[Piece]:
    """The question, then what each call answered and what its tools gave back, each once."""
    seen: set[tuple[str, str, str]] = set()
    for position, span in enumerate(spans):
        question_parts = list(_parts(span, "input_messages"))
        last_user = max((place for place, piece in enumerate(question_parts) if piece.role == "user"), default=0)
        since = question_parts[last_user:]
        new = since if position == 0 else [piece for piece in since if piece.kind == "tool_result"]
        for piece in (*new, *_parts(span, "output_messages")):
            key = (piece.role, piece.kind, piece.text)
            if key not in seen:
                seen.add(key)
                yield replace(piece, text=piece.text[:cut] if cut else piece.text)


def _parts(span: Mapping[str, Any], column: str) -> Iterator[Piece]:
    try:
        found = json_text.loads(span[column]) if span[column] else []
    except ValueError:
        return
    for message in found if isinstance(found, list) else []:
        parts = message.get("parts") if isinstance(message, dict) else None
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and (piece := _piece(str(message.get("role", "")), part, span)):
                yield piece


def _piece(role: str, part: Mapping[str, Any], span: Mapping[str, Any]) -> Piece | None:
    kind = {"tool_call": "tool_call", "tool_call_response": "tool_result"}.get(str(part.get("type")), "text")
    field = {"tool_call": "arguments", "tool_result": "result", "text": "content"}[kind]
    value = part.get(field, part.get("response") if kind == "tool_result" else None)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    name = str(part.get("name", ""))
    return Piece(role, kind, name, text, len(text), format_time(span["at_ns"]), span["span_id"]) if text else None
