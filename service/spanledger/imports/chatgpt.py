"""ChatGPT's data export: the zip, or its conversations.json. All branches count: each answer was generated."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
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

SOURCE = "chatgpt"
PROVIDER = "openai"
MAX_NODES = 1_000_000
# What nobody wrote and no model answered; older exports have the second flag alone.
_HIDDEN = ("is_visually_hidden_from_conversation", "is_user_system_message")
Node = Mapping[str, Any]


def read(path: Path, user_id: str = "", on_read: OnRead = ignore) -> Items:
    """Raises BadRequest for a file that is no export."""
    for found in archive.conversations(path, "ChatGPT's", "user.json", on_read):
        if isinstance(found, Problem):
            yield found
            continue
        where, conversation, user = found
        yield from _conversation(where, conversation, user_id or _user(user))


def _user(known: Any) -> str:
    """Who made the export, as its user.json says."""
    return str(known.get("id") or "") if isinstance(known, dict) else ""


def _conversation(where: str, value: Any, user_id: str) -> Items:
    if isinstance(value, Broken):
        yield Problem(where, f"is not JSON: {value.why}")
        return
    if not isinstance(value, dict) or not isinstance(value.get("mapping"), dict):
        is_claudes = isinstance(value, dict) and "chat_messages" in value
        why = "is one of Claude's: `spanledger import claude`" if is_claudes else "has no mapping of messages"
        yield Problem(where, why)
        return
    conversation_id = str(value.get("conversation_id") or value.get("id") or "")
    if not conversation_id:
        yield Problem(where, "has no id")
        return
    tree = _Tree(value, conversation_id, user_id)
    try:
        yield from tree.exchanges()
    except Unusable as exc:
        yield Problem(where, str(exc))
    if tree.left_out:
        yield Problem(where, f"has more than {MAX_PARTS:,} answers to one message; {tree.left_out:,} are left out")


class _Tree:
    """A conversation's messages, walked from the first one down; a message belongs to the nearest question above."""

    def __init__(self, value: Mapping[str, Any], conversation_id: str, user_id: str) -> None:
        self._nodes: Mapping[str, Any] = value["mapping"]
        self._conversation_id = conversation_id
        self._user_id = user_id
        self._title = str(value.get("title") or "")
        self._model = str(value.get("default_model_slug") or "")
        self._began = value.get("create_time")
        self._children = self._descendants()
        self._ids: set[str] = set()  # of messages
        self.left_out = 0  # messages beyond those of one question that are imported

    def exchanges(self) -> Iterator[Exchange]:
        """In the order of the tree. Raises Unusable where nothing has a time."""
        found: dict[str, Exchange] = {}
        seen: set[str] = set()
        for root in [*self._roots(), *self._nodes]:  # no root leads to the nodes of a circle
            # node, its exchange, the answer it may go on with, when the node above was written
            stack: list[tuple[str, Exchange | None, int | None, int | None]] = [(root, None, None, None)]
            while stack:
                node_id, exchange, answer, above_ns = stack.pop()
                if node_id in seen or len(seen) > MAX_NODES:
                    continue
                seen.add(node_id)
                node = self._nodes.get(node_id)
                if not isinstance(node, dict):
                    continue
                message = node.get("message")
                if isinstance(message, dict) and not self._is_hidden(message):
                    at_ns = self._time(message, above_ns)
                    exchange, answer = self._take(self._id(node_id, message), message, at_ns, exchange, answer)
                    above_ns = at_ns
                    if exchange is not None:
                        found[exchange.message_id] = exchange
                for child in reversed(self._children.get(node_id, ())):
                    stack.append((child, exchange, answer, above_ns))
        yield from found.values()

    def _descendants(self) -> dict[str, list[str]]:
        """Children by node, in the order of `children`, then those that only name their `parent`."""
        children: dict[str, dict[str, None]] = defaultdict(dict)
        for node_id, node in self._nodes.items():
            listed = node.get("children") if isinstance(node, dict) else None
            children[node_id].update((str(child), None) for child in (listed if isinstance(listed, list) else ()))
        for node_id, node in self._nodes.items():
            if (parent := self._parent(node)) in self._nodes:
                children[parent].setdefault(node_id, None)
        return {node_id: list(found) for node_id, found in children.items()}

    def _roots(self) -> list[str]:
        """Nodes without a parent."""
        below = {child for found in self._children.values() for child in found}
        return [node_id for node_id in self._nodes if node_id not in below]

    def _id(self, node_id: str, message: Node) -> str:
        """The message's; that of its node where another message has the same."""
        named = str(message.get("id") or node_id)
        found = named if named not in self._ids else node_id
        self._ids.add(found)
        return found

    def _take(
        self, message_id: str, message: Node, at_ns: int, exchange: Exchange | None, answer: int | None
    ) -> tuple[Exchange | None, int | None]:
        """The exchange to which the message belongs and, of an answer, its place there."""
        role = _role(message)
        text = _text(message)
        if role == "user" or exchange is None:
            is_question = role == "user"
            exchange = Exchange(
                SOURCE,
                self._conversation_id,
                message_id,
                at_ns,
                self._user_id,
                is_question,
                text if is_question else "",
            )
            exchange.title = self._title
            answer = None
            if is_question:
                return exchange, None
        if exchange.is_full and answer is None:
            self.left_out += 1
            return exchange, None
        if role == "tool":
            author = message.get("author")
            name = str(author.get("name") or "tool") if isinstance(author, dict) else "tool"
            exchange.tools.append(ToolUse(message_id, at_ns, name, text))
            return exchange, None
        if answer is not None:
            # Thoughts, their recap and the text are messages of their own, and one answer.
            exchange.answers[answer] = _longer(exchange.answers[answer], text, at_ns, self._slug(message))
            return exchange, answer
        model = self._slug(message) or self._model
        exchange.answers.append(Answer(message_id, at_ns, at_ns, PROVIDER, model, text))
        return exchange, len(exchange.answers) - 1

    def _slug(self, message: Node) -> str:
        metadata = message.get("metadata")
        return str(metadata.get("model_slug") or "") if isinstance(metadata, dict) else ""

    def _time(self, message: Node, above_ns: int | None) -> int:
        """When it was written; without a usable time, when the one above was, or the conversation began.

        Raises Unusable for a conversation without any usable time.
        """
        found = _moment_or_none(message.get("create_time")) or above_ns or _moment_or_none(self._began)
        return found or self._earliest_ns()

    def _earliest_ns(self) -> int:
        """Of all its messages. Raises Unusable where none has a usable time."""
        messages = (node.get("message") for node in self._nodes.values() if isinstance(node, dict))
        times = (_moment_or_none(message.get("create_time")) for message in messages if isinstance(message, dict))
        earliest = min((time_ns for time_ns in times if time_ns is not None), default=None)
        if earliest is None:
            raise Unusable("has no time")
        return earliest

    @staticmethod
    def _parent(node: Any) -> str:
        """Empty for a root."""
        return str(node.get("parent") or "") if isinstance(node, dict) else ""

    @staticmethod
    def _is_hidden(message: Node) -> bool:
        metadata = message.get("metadata")
        hidden = isinstance(metadata, dict) and any(metadata.get(flag) for flag in _HIDDEN)
        content = message.get("content")
        hidden = hidden or (isinstance(content, dict) and content.get("content_type") == "user_editable_context")
        return bool(hidden) or _role(message) not in {"user", "assistant", "tool"}


def _moment_or_none(value: Any) -> int | None:
    try:
        return moment_ns(value)
    except Unusable:
        return None


def _longer(answer: Answer, text: str, at_ns: int, model: str) -> Answer:
    joined = "\n".join(part for part in (answer.text, text) if part)
    return replace(answer, text=joined, end_ns=max(answer.end_ns, at_ns), model=model or answer.model)


def _role(message: Node) -> str:
    author = message.get("author")
    return str(author.get("role") or "") if isinstance(author, dict) else ""


def _text(message: Node) -> str:
    content = message.get("content")
    if not isinstance(content, dict):
        return text_of(content)
    return text_of(content.get("parts")) or text_of(content.get("text"))
