"""The content of a conversation: from the service's own history, else from spans that carry content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.foreign import json_text
from spanledger.stats.contents import MAX_SPANS, rows_with_content
from spanledger.store import queries
from spanledger.store.client import Store

MAX_CHARS = 24_000  # of the transcript that a model reads
NOTHING = (
    "there is no content: the conversation is not one of this service's own, and its spans carry no "
    "content (SPANLEDGER_CAPTURE_CONTENT, or --content for imports)"
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The texts with their roles, in order. `source`: `history`, `spans` or '' for none."""

    source: str = ""
    lines: tuple[tuple[str, str], ...] = ()  # role, text

    def of(self, role: str) -> list[str]:
        return [text for who, text in self.lines if who == role]

    def text(self) -> str:
        """For a model: the beginning and the end where it is too long."""
        whole = "\n".join(f"{who}: {text}" for who, text in self.lines)
        if len(whole) <= MAX_CHARS:
            return whole
        return f"{whole[: MAX_CHARS // 4]}\n[…]\n{whole[-MAX_CHARS * 3 // 4 :]}"


def of_history(messages: Sequence[Mapping[str, Any]]) -> Transcript:
    """From messages in OpenAI's format."""
    lines = tuple(
        (str(message.get("role")), text)
        for message in messages
        if message.get("role") in {"user", "assistant"} and (text := _text(message.get("content")))
    )
    return Transcript("history", lines) if lines else Transcript()


def of_spans(store: Store, tenant: str, conversation_id: str) -> Transcript:
    """From `gen_ai.input.messages` and `gen_ai.output.messages`: each trace's last question and last answer."""
    ids = store.query(
        queries.sql("traces_of_conversation"),
        {"tenant": tenant, "conversation_id": conversation_id, "limit": MAX_SPANS},
    )
    rows, _ = rows_with_content(store, tenant, [row[0] for row in ids])
    lines: list[tuple[str, str]] = []
    for trace_id in dict.fromkeys(row["trace_id"] for row in rows):
        of_trace = [row for row in rows if row["trace_id"] == trace_id]
        questions = [text for row in of_trace for role, text in _texts(row["input_messages"]) if role == "user"]
        answered = [text for row in of_trace for _, text in _texts(row["output_messages"])]
        lines += [("user", text) for text in questions[-1:]] + [("assistant", text) for text in answered[-1:]]
    return Transcript("spans", tuple(lines)) if lines else Transcript()


def _texts(value: str) -> list[tuple[str, str]]:
    """Role and text of messages in the conventions' form; what is not in it says nothing."""
    try:
        messages = json_text.loads(value) if value else []
    except ValueError:
        return []
    if not isinstance(messages, list):
        return []
    found = []
    for message in messages:
        if isinstance(message, dict):
            parts = message.get("parts")
            texts = [p.get("content") for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []
            text = " ".join(one for one in texts if isinstance(one, str))
            if text:
                found.append((str(message.get("role", "")), text))
    return found


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping)).strip()
    return ""
