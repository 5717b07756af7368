"""Claude's data export: the zip, or its conversations.json. An export names no model; what others save may."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spanledger.imports import archive
from spanledger.imports.counted import OnRead, ignore
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
from spanledger.imports.json_array import Broken

SOURCE = "claude"
PROVIDER = "anthropic"
_HUMANS, _MODELS = {"human", "user"}, {"assistant"}
Json = Mapping[str, Any]


def read(path: Path, user_id: str = "", on_read: OnRead = ignore) -> Items:
    """Raises BadRequest for a file that is no export."""
    for found in archive.conversations(path, "Claude's", "users.json", on_read):
        if isinstance(found, Problem):
            yield found
            continue
        where, conversation, users = found
        yield from _conversation(where, conversation, user_id, _only_user(users))


def _only_user(users: Any) -> str:
    """The user of users.json, where it has one alone."""
    return _uuid(users[0]) if isinstance(users, list) and len(users) == 1 else ""


def _uuid(value: Any) -> str:
    return str(value.get("uuid") or value.get("id") or "") if isinstance(value, dict) else ""


def _conversation(where: str, value: Any, user_id: str, only_user: str) -> Items:
    if isinstance(value, Broken):
        yield Problem(where, f"is not JSON: {value.why}")
        return
    if not isinstance(value, dict) or not isinstance(value.get("chat_messages"), list):
        is_chatgpts = isinstance(value, dict) and "mapping" in value
        yield Problem(
            where, "is one of ChatGPT's: `spanledger import chatgpt`" if is_chatgpts else "has no chat_messages"
        )
        return
    if not (conversation_id := _uuid(value)):
        yield Problem(where, "has no uuid")
        return
    talk = _Talk(value, conversation_id, user_id or _uuid(value.get("account")) or only_user)
    try:
        yield from talk.exchanges()
    except Unusable as exc:
        yield Problem(where, str(exc))
    if talk.left_out:
        yield Problem(where, f"has more than {MAX_PARTS:,} answers to one message; {talk.left_out:,} are left out")


class _Talk:
    """A conversation. A message follows the one that it names as its parent, or else the one before it."""

    def __init__(self, value: Json, conversation_id: str, user_id: str) -> None:
        self._messages = [message for message in value["chat_messages"] if isinstance(message, dict)]
        self._conversation_id, self._user_id = conversation_id, user_id
        self._title = str(value.get("name") or value.get("title") or "")
        self._model = str(value.get("model") or "")
        self._began_ns = _moment(value.get("created_at"))
        self.left_out = 0  # answers and uses of tools beyond those of one question that are imported

    def exchanges(self) -> Iterator[Exchange]:
        """In the order of the questions. Raises Unusable where nothing has a time."""
        found: dict[str, Exchange] = {}
        by_uuid: dict[str, Exchange] = {}
        last: Exchange | None = None
        at_ns = self._began_ns or self._earliest_ns()
        for position, message in enumerate(self._messages):
            sender = str(message.get("sender", message.get("role")))
            if sender not in _HUMANS | _MODELS:
                continue
            uuid = _uuid(message)
            message_id = uuid if uuid and uuid not in by_uuid else f"{uuid or self._conversation_id}/{position}"
            at_ns = _moment(message.get("created_at")) or at_ns
            exchange = by_uuid.get(str(message.get("parent_message_uuid")), last)
            if sender in _HUMANS or exchange is None:
                exchange = self._exchange(message_id, message, at_ns, is_question=sender in _HUMANS)
                found[message_id] = exchange
            if sender in _MODELS:
                self._answer(exchange, message_id, message, at_ns)
            last = by_uuid[uuid or message_id] = exchange
        yield from found.values()

    def _exchange(self, message_id: str, message: Json, at_ns: int, is_question: bool) -> Exchange:
        text = _text(message) if is_question else ""
        exchange = Exchange(SOURCE, self._conversation_id, message_id, at_ns, self._user_id, is_question, text)
        exchange.title = self._title
        return exchange

    def _answer(self, exchange: Exchange, message_id: str, message: Json, at_ns: int) -> None:
        """One message is one answer: how often the model was asked between its tools, an export does not say."""
        blocks = _blocks(message)
        uses = _uses(blocks)
        room = max(0, MAX_PARTS - len(exchange.answers) - len(exchange.tools))
        self.left_out += max(0, 1 + len(uses) - room)
        if not room:
            return
        start_ns, end_ns = _written(blocks)
        model = str(message.get("model") or "") or self._model
        times = (start_ns or at_ns, end_ns or at_ns)
        exchange.answers.append(Answer(message_id, *times, PROVIDER, model, _text(message)))
        for number, (use, result) in enumerate(uses[: room - 1]):
            used_ns = _moment(use.get("start_timestamp")) or at_ns
            exchange.tools.append(ToolUse(f"{message_id}/{number}", used_ns, str(use.get("name") or "tool"), result))

    def _earliest_ns(self) -> int:
        """Of all messages. Raises Unusable where none has a usable time."""
        times = (_moment(message.get("created_at")) for message in self._messages)
        if (earliest := min((time_ns for time_ns in times if time_ns), default=None)) is None:
            raise Unusable("has no time")
        return earliest


def _moment(value: Any) -> int | None:
    try:
        return moment_ns(value)
    except Unusable:
        return None


def _blocks(message: Json) -> list[Json]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(message: Json) -> str:
    """What was written, without thoughts and tools; older exports have it in `text` alone."""
    texts = [text_of(block.get("text")) for block in _blocks(message) if block.get("type") == "text"]
    return "\n".join(text for text in texts if text) or text_of(message.get("text"))


def _written(blocks: list[Json]) -> tuple[int | None, int | None]:
    """When the model began and ended, where the blocks say so."""
    starts = [time_ns for block in blocks if (time_ns := _moment(block.get("start_timestamp")))]
    ends = [time_ns for block in blocks if (time_ns := _moment(block.get("stop_timestamp")))]
    return (min(starts), max(ends)) if starts and ends else (None, None)


def _uses(blocks: list[Json]) -> list[tuple[Json, str]]:
    """Uses of tools, each with what the tool answered: the result that names the use, or that behind it."""
    results = [block for block in blocks if block.get("type") == "tool_result"]
    by_use = {str(result.get("tool_use_id")): result for result in results if result.get("tool_use_id")}
    found: list[tuple[Json, str]] = []
    nothing: Json = {}
    for block, behind in itertools.zip_longest(blocks, blocks[1:], fillvalue=nothing):
        if block.get("type") == "tool_use":
            is_next = behind.get("type") == "tool_result" and not behind.get("tool_use_id")
            result = by_use.get(str(block.get("id")), behind if is_next else nothing)
            found.append((block, text_of(result.get("content"))))
    return found
