"""What an import comes down to, whatever it came from: exchanges, each a trace whose ids follow from its source."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 65_536  # characters of a text that are imported
MAX_PARTS = 2_000  # answers and uses of tools of one message
EARLIEST_NS = 0
_NUMBER = re.compile(r"\d{9,19}(?:\.\d{1,9})?")  # of eight digits it may be a day
LATEST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer: one call. None where the source does not say: unknown is not zero."""

    answer_id: str
    at_ns: int
    end_ns: int
    provider: str = ""
    model: str = ""
    text: str = ""
    usage: str = ""  # the usage object of the source as JSON; interpretation reads its counts
    cost_usd: str | None = None
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolUse:
    use_id: str
    at_ns: int
    name: str
    text: str = ""


@dataclass(slots=True)
class Exchange:
    """A message and the answers to it. Without answers, or without a question, it counts as one message."""

    source: str  # jsonl | chatgpt | claude | imessage
    conversation_id: str
    message_id: str
    at_ns: int
    user_id: str = ""
    has_question: bool = True  # a user wrote something
    text: str = ""
    answers: list[Answer] = field(default_factory=list)
    tools: list[ToolUse] = field(default_factory=list)
    title: str = ""  # of the conversation; content, like the texts
    more: dict[str, str | bool] = field(default_factory=dict)  # further attributes of its span

    @property
    def alone(self) -> bool:
        return not (self.has_question and self.answers)

    @property
    def is_full(self) -> bool:
        """Whether it has as many answers and uses of tools as are imported."""
        return len(self.answers) + len(self.tools) >= MAX_PARTS

    def texts(self) -> Iterator[str]:
        yield self.text
        yield from (answer.text for answer in self.answers)
        yield from (tool.text for tool in self.tools)

    @property
    def end_ns(self) -> int:
        return max([self.at_ns, *(a.end_ns for a in self.answers), *(t.at_ns for t in self.tools)])


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be used, and where it stands."""

    where: str
    why: str


Item = Exchange | Problem
Items = Iterator[Item]


class Unusable(ValueError):
    """Says why one line or message cannot be used."""


def moment_ns(value: Any) -> int:
    """Nanoseconds since 1970 of a time as people write it: RFC 3339, or seconds, ms, µs or ns since 1970 by its size.

    Raises Unusable.
    """
    from spanledger.errors import BadRequest
    from spanledger.stats.times import parse_time

    if isinstance(value, bool) or value is None or value == "":
        raise Unusable("has no time")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    elif isinstance(value, str) and len(value) <= 100:
        try:
            return parse_time(value, "the time")
        except BadRequest as exc:
            raise Unusable(str(exc)) from exc
    if not isinstance(value, int | float) or value != value or value in (float("inf"), float("-inf")):
        raise Unusable(f"has an unusable time {str(value)[:50]!r}")
    found = (
        round(value * _per_unit(abs(value))) if isinstance(value, int) else round(value * 1e6 * _scale(value)) * 1000
    )
    if not EARLIEST_NS < found <= LATEST_NS:
        raise Unusable(f"has a time out of range: {str(value)[:50]}")
    return found


def _per_unit(size: float) -> int:
    """Nanoseconds in the unit of a number that is a time between 1973 and 5138."""
    steps: tuple[tuple[float, int], ...] = ((1e11, 10**9), (1e14, 10**6), (1e17, 1000))
    return next((ns for limit, ns in steps if size < limit), 1)


def _scale(value: float) -> float:
    """The same for floats, as a share of a second."""
    return _per_unit(abs(value)) / 1e9


def text_of(content: Any) -> str:
    """The text of a content as chat formats have it: a text, or parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return "\n".join(text for text in texts if isinstance(text, str) and text)
    return ""
