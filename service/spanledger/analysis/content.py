"""The content of a conversation: from the service's own history, else from spans that carry content."""

from collections import defaultdict
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


def of_spans(store: Store, tenant: str, conversation_ids: Sequence[str]) -> dict[str, Transcript]:
    """From `gen_ai.input.messages` and `gen_ai.output.messages`: each trace's last question and last answer. By
    conversation, those that have content; read together, as far as one reading has room for all of it."""
    wanted = {"tenant": tenant, "conversation_ids": list(conversation_ids), "limit": MAX_SPANS}
    found = store.query(queries.sql("traces_of_conversations"), wanted)
    if not found:
        return {}
    rows, left_out = rows_with_content(store, tenant, list({trace_id for _, trace_id in found}))
    if len(conversation_ids) > 1 and (left_out or len(rows) >= MAX_SPANS):
        return {name: one for each in conversation_ids for name, one in of_spans(store, tenant, [each]).items()}
    of_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        of_trace[row["trace_id"]].append(row)
    lines: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for conversation_id, trace_id in found:
        lines[conversation_id] += _exchange(of_trace[trace_id])
    return {name: Transcript("spans", tuple(said)) for name, said in lines.items() if said}


def _exchange(spans: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The last question and the last answer of a trace."""
    questions = [text for span in spans for role, text in _texts(span["input_messages"]) if role == "user"]
    answered = [text for span in spans for _, text in _texts(span["output_messages"])]
    return [("user", text) for text in questions[-1:]] + [("assistant", text) for text in answered[-1:]]


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
