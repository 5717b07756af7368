"""An event of the live stream: what a span, a log record or the books say, in one shape.

Types are those of `GET /v1/events`. The place of an event in the stream is made of what it is derived from (time and
id of the span, type), so it is the same whether it was seen live or read back from ClickHouse.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from spanledger.stats.times import format_time

# In the order in which those of one moment belong.
TYPES: Final = (
    "workflow_started",
    "node_started",
    "limit_exceeded",
    "security",
    "audit",
    "health",
    "model_response",
    "tool_called",
    "node_completed",
    "workflow_progress",
    "workflow_completed",
    "workflow_failed",
    "usage",
)
FOR_ADMINS: Final = frozenset({"security", "audit"})
_RANK: Final = {name: rank for rank, name in enumerate(TYPES)}


class Place(NamedTuple):
    """Where an event stands: its time in ns, the rank of its type, and the span (or record) that it tells of."""

    at_ns: int
    rank: int = 0
    source: str = ""


class Cursor(NamedTuple):
    """How far a reader has come, in what this service emits itself and in what the books post."""

    emitted: Place
    booked: Place

    def __str__(self) -> str:
        return "~".join(f"{place.at_ns}.{place.rank}.{place.source}" for place in self)


def parse_cursor(text: str) -> Cursor | None:
    """The cursor that an event's `id` spells; None when it is not one of ours."""
    parts = text.split("~")
    places = [_place(part) for part in parts]
    if len(places) != 2 or places[0] is None or places[1] is None:
        return None
    return Cursor(places[0], places[1])


def _place(text: str) -> Place | None:
    at_ns, rank, source = ([*text.split(".", 2), "", ""])[:3]
    if not (at_ns.isascii() and at_ns.isdigit() and len(at_ns) <= 19 and rank.isascii() and rank.isdigit()):
        return None
    if len(rank) > 2 or len(source) > 64 or int(at_ns) >= 2**63:
        return None
    return Place(int(at_ns), int(rank), source)


@dataclass(slots=True, eq=False)
class Event:
    """`facts` is called only while there are readers; its result must not change."""

    type: str
    at_ns: int
    source: str  # span id, or what tells records and postings apart
    tenant: str
    trace_id: str
    conversation_id: str
    user_id: str
    facts: Callable[[], Mapping[str, Any]]
    booked: bool = False  # it comes from the books
    cursor: Cursor | None = None  # set when it is published
    _frame: bytes = field(default=b"", repr=False)

    @property
    def place(self) -> Place:
        return Place(self.at_ns, _RANK[self.type], self.source)

    def data(self) -> dict[str, Any]:
        """What is sent, as JSON-ready values; unknown ids are left out."""
        known = {"conversation_id": self.conversation_id, "user_id": self.user_id, "trace_id": self.trace_id}
        return {
            "type": self.type,
            "at": format_time(self.at_ns),
            **{name: value for name, value in known.items() if value},
            **self.facts(),
        }

    def frame(self) -> bytes:
        """The event as text/event-stream; encoded once, however many read it."""
        if not self._frame:
            body = orjson.dumps(self.data(), default=str)
            self._frame = b"event: %b\nid: %b\ndata: %b\n\n" % (self.type.encode(), str(self.cursor).encode(), body)
        return self._frame


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects events among those that the reader may see. Empty: all."""

    tenant: str
    types: frozenset[str] = frozenset()
    conversation_id: str = ""
    user_id: str = ""
    trace_id: str = ""
    admin: bool = True

    def __call__(self, event: Event) -> bool:
        return (
            event.tenant == self.tenant
            and (not self.types or event.type in self.types)
            and (not self.conversation_id or event.conversation_id == self.conversation_id)
            and (not self.user_id or event.user_id == self.user_id)
            and (not self.trace_id or event.trace_id == self.trace_id)
            and (self.admin or event.type not in FOR_ADMINS)
        )
