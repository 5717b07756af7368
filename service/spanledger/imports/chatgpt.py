"""ChatGPT's data export: the zip, or its conversations.json. All branches count: each answer was generated."""

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

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
from spanledger.imports.json_array import Broken, NotAnArray, elements

SOURCE = "chatgpt"
PROVIDER = "openai"
MAX_USER_FILE = 1 << 20
MAX_NODES = 1_000_000
MAX_UNPACKED = 8 << 30
MAX_RATIO = 100  # of unpacked to packed bytes, beyond
FREE_BYTES = 64 << 20  # where small files are packed well
# What nobody wrote and no model answered; older exports have the second flag alone.
_HIDDEN = ("is_visually_hidden_from_conversation", "is_user_system_message")
Node = Mapping[str, Any]


def size(path: Path) -> int:
    """Bytes that `read` goes through; of a zip, unpacked."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return sum(one.file_size for one in archive.infolist() if _holds_conversations(one.filename))
        return path.stat().st_size
    except (OSError, zipfile.BadZipFile):
        return 0  # `read` says what is wrong


def read(path: Path, user_id: str = "", on_read: OnRead = ignore) -> Items:
    """Raises BadRequest for a file that is no export."""
    for name, file, user in _files(path):
        try:
            for number, conversation in enumerate(elements(Counted(file, on_read)), 1):
                for where, one in _unwrapped(f"{name}, conversation {number}", conversation):
                    yield from _conversation(where, one, user_id or user)
        except NotAnArray as exc:
            yield Problem(name, f"is not a list of conversations: {exc}")
        except (OSError, zipfile.BadZipFile, EOFError) as exc:
            yield Problem(name, f"cannot be read to its end: {exc}")


def _files(path: Path) -> Iterator[tuple[str, BinaryIO, str]]:
    """Name and content of each file with conversations, and the user they belong to."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                if file.read(2) == b"PK":
                    raise BadRequest(f"{path} is a broken zip; download the export again")
                file.seek(0)
                yield path.name, file, ""
                return
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                names = sorted(n for n in archive.namelist() if _holds_conversations(n))
                if not names:
                    raise BadRequest(f"{path} has no conversations.json; is it ChatGPT's data export?")
                _refuse_bomb(path, archive, names)
                for name in names:
                    user = _user(archive, name)
                    with _member(archive, name) as member:
                        yield name, member, user
    except OSError as exc:
        raise BadRequest(f"{path} cannot be read: {exc.strerror}") from exc
    except zipfile.BadZipFile as exc:
        raise BadRequest(f"{path} is a broken zip: {exc}") from exc


def _refuse_bomb(path: Path, archive: zipfile.ZipFile, names: list[str]) -> None:
    unpacked = sum(archive.getinfo(name).file_size for name in names)
    packed = path.stat().st_size  # members may share their bytes, so theirs say too much
    if unpacked > MAX_UNPACKED or unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise BadRequest(f"{path} would unpack to {unpacked:,} bytes, from {packed:,}; no export is like that")


def _holds_conversations(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return last.startswith("conversations") and last.endswith(".json")


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    try:
        with archive.open(name) as member:
            yield cast(BinaryIO, member)
    except (RuntimeError, NotImplementedError) as exc:  # encrypted, or packed in a way that Python does not know
        raise BadRequest(f"{name} in the zip cannot be read: {exc}") from exc


def _user(archive: zipfile.ZipFile, beside: str) -> str:
    """Who made the export, as its user.json says, which stands beside the conversations."""
    folder = beside[: beside.rfind("/") + 1]
    try:
        with archive.open(f"{folder}user.json") as file:
            known = json_text.loads(file.read(MAX_USER_FILE).decode("utf-8-sig", "replace"))
        return str(known.get("id") or "")
    except (KeyError, ValueError, AttributeError, OSError, zipfile.BadZipFile):
        return ""


def _unwrapped(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The conversations of an object around their list, as the web's own API answers; else the value itself."""
    inner = value.get("conversations", value.get("items")) if isinstance(value, dict) else None
    if isinstance(inner, list):
        yield from ((f"{where}.{number}", one) for number, one in enumerate(inner, 1))
    else:
        yield where, value


def _conversation(where: str, value: Any, user_id: str) -> Items:
    if isinstance(value, Broken):
        yield Problem(where, f"is not JSON: {value.why}")
        return
    if not isinstance(value, dict) or not isinstance(value.get("mapping"), dict):
        yield Problem(where, "has no mapping of messages")
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
