"""JSON lines: one message a line, or one conversation with its `messages` a line. Read line by line, never whole."""

import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spanledger.errors import BadRequest
from spanledger.foreign import json_text
from spanledger.imports.counted import Counted, OnRead, ignore
from spanledger.imports.history import (
    MAX_PARTS,
    Answer,
    Exchange,
    Items,
    Problem,
    ToolUse,
    Unusable,
    moment_ns,
    text_of,
)

SOURCE = "jsonl"
MAX_LINE = 16 * 1024 * 1024
OPEN_CONVERSATIONS = 50_000  # whose last question may still be answered further down

_CONVERSATION = ("conversation_id", "session_id", "thread_id", "chat_id", "conversationId", "sessionId", "threadId")
_TIME = ("created_at", "at", "timestamp", "ts", "time", "date", "create_time", "created", "createdAt")
_TEXT = ("content", "text", "message")
_ID = ("id", "message_id", "uuid")
_USER = ("user_id", "user", "sender")
_ASKS = frozenset({"user", "human"})
_ANSWERS = frozenset({"assistant", "ai", "model", "bot"})
_TOOLS = frozenset({"tool", "function"})
_ASIDE = frozenset({"system", "developer"})
_MAX_USAGE, _USAGE_DEPTH = 4096, 6
_WORD = re.compile(r"[\w.:-]{1,32}")  # a count, or what is counted (`TEXT`); no text that anyone wrote


def read(path: Path, on_read: OnRead = ignore) -> Items:
    """Raises BadRequest for a file that cannot be read at all."""
    try:
        with path.open("rb") as file:
            yield from _exchanges(_messages(_lines(Counted(file, on_read))))
    except OSError as exc:
        raise BadRequest(f"{path} cannot be read: {exc.strerror}") from exc


def _lines(file: Counted) -> Iterator[tuple[str, Any]]:
    """Where it stands, and the object of each line; a Problem in its place where there is none."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
            yield where, Problem(where, f"is longer than {MAX_LINE // 2**20} MiB")
            continue
        if not line.strip():
            continue
        try:
            text = line.lstrip(b"\xef\xbb\xbf").decode(json.detect_encoding(line), "replace")
            yield where, json_text.loads(text)
        except ValueError as exc:
            yield where, Problem(where, f"is not JSON: {str(exc)[:200]}")


def _messages(lines: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Where it stands, and each message with what its conversation says of it."""
    for where, value in lines:
        if isinstance(value, Problem):
            yield where, value
        elif not isinstance(value, dict):
            yield where, Problem(where, f"is not a JSON object but {type(value).__name__}")
        elif isinstance(value.get("messages"), list):
            for number, message in enumerate(value["messages"], 1):
                place = f"{where}, message {number}"
                if isinstance(message, dict):
                    yield place, _of_conversation(value, message, number)
                else:
                    yield place, Problem(place, "is not a JSON object")
        else:
            yield where, value


def _of_conversation(whole: Mapping[str, Any], message: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A message of a line that holds a conversation: what it does not say itself, the conversation says."""
    shared = {name: whole[name] for name in ("model", "provider", *_USER) if name in whole}
    found = {**shared, **message, "conversation_id": _first(whole, (*_CONVERSATION, "id"))}
    if _first(message, _TIME) is None and (when := _first(whole, _TIME)) is not None:
        try:
            found["created_at"] = moment_ns(when) + number * 1000  # in their order, a microsecond apart
        except Unusable:
            found["created_at"] = when
    if _first(message, _ID) is None:
        found["id"] = f"{number}"
    return found


def _exchanges(messages: Iterator[tuple[str, Any]]) -> Items:
    open_ones: OrderedDict[str, Exchange] = OrderedDict()
    for where, message in messages:
        if isinstance(message, Problem):
            yield message
            continue
        try:
            finished = _take(message, open_ones)
        except Unusable as exc:
            yield Problem(where, str(exc))
            continue
        if finished is not None:
            yield finished
        if len(open_ones) > OPEN_CONVERSATIONS:
            yield open_ones.popitem(last=False)[1]
    yield from open_ones.values()


def _take(message: Mapping[str, Any], open_ones: "OrderedDict[str, Exchange]") -> Exchange | None:
    """Puts the message where it belongs; the exchange that it ends, if any. Raises Unusable."""
    conversation, role = _text(_first(message, _CONVERSATION)), str(message.get("role", "")).lower()
    if not conversation:
        raise Unusable("has no conversation_id")
    if role in _ASIDE:
        return None
    if role not in _ASKS | _ANSWERS | _TOOLS:
        raise Unusable(f"has the role {role[:50]!r}; it can be user, assistant, tool or system")
    at_ns, text = moment_ns(_first(message, _TIME)), text_of(_first(message, _TEXT))
    message_id = _text(_first(message, _ID)) or _made_up(conversation, role, at_ns, text)
    before = open_ones.get(conversation)
    if role in _ASKS or before is None:
        is_question = role in _ASKS
        user = _text(_first(message, _USER))
        new = Exchange(SOURCE, conversation, message_id, at_ns, user, is_question, text if is_question else "")
        open_ones[conversation] = new
        open_ones.move_to_end(conversation)
        if is_question:
            return before
    current = open_ones[conversation]
    if current.is_full:
        raise Unusable(f"is one of more than {MAX_PARTS:,} answers to one message")
    if role in _TOOLS:
        current.tools.append(ToolUse(message_id, at_ns, _text(message.get("name")) or "tool", text))
    else:
        current.answers.append(_answer(message, message_id, at_ns, text))
    return None


def _answer(message: Mapping[str, Any], answer_id: str, at_ns: int, text: str) -> Answer:
    usage = message.get("usage")
    fields: Mapping[str, Any] = {**message, **usage} if isinstance(usage, dict) else message
    counted = usage if isinstance(usage, dict) else {name: message[name] for name in message if "token" in name.lower()}
    took = fields.get("duration_ms")
    took_ns = round(took * 1e6) if isinstance(took, int | float) and 0 <= took < 1e9 else 0
    return Answer(
        answer_id=answer_id,
        at_ns=at_ns - took_ns if took_ns < at_ns else at_ns,
        end_ns=at_ns,
        provider=_text(message.get("provider")),
        model=_text(message.get("model")),
        text=text,
        usage=_usage(counted),
        cost_usd=_money(fields.get("cost_usd")),
        finish_reason=_text(message.get("finish_reason")),
    )


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _usage(counted: Mapping[str, Any]) -> str:
    """The counts as JSON, empty where there are none."""
    kept = _counts(counted, 1)
    text = json.dumps(kept) if kept else ""
    return text if len(text) <= _MAX_USAGE else ""


def _counts(value: Any, depth: int) -> Any:
    """Numbers and single words, and the objects and lists that hold them; None for all else."""
    if isinstance(value, dict | list) and depth > _USAGE_DEPTH:
        return None
    if isinstance(value, dict):
        found = {name: _counts(inner, depth + 1) for name, inner in value.items() if _WORD.fullmatch(name)}
        return {name: inner for name, inner in found.items() if inner is not None}
    if isinstance(value, list):
        return [inner for one in value if (inner := _counts(one, depth + 1)) is not None]
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else None
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _money(value: Any) -> str | None:
    try:
        amount = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return str(value) if 0 <= amount < 1e9 else None


def _made_up(*parts: Any) -> str:
    """The same id for the same message of the same conversation."""
    named = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(named).hexdigest()[:32]
