"""What the telling of a forest needs: a clock, ids, the spans told so far, and the truth about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from oracle import voices
from oracle.spans import Span, hex_id
from oracle.totals import Amounts, Dimension, Totals
from oracle.voices import Voice

MS = 1_000_000
START_NS = 1_793_527_200 * 10**9  # 2026-11-01T10:00:00Z
SLOT_MS = 400


@dataclass(frozen=True)
class Whose:
    """Whom something belongs to, as far as the spans on the way up say; '' is not said."""

    conversation: str = ""
    user: str = ""
    message: str = ""

    def under(self, above: "Whose") -> "Whose":
        return Whose(self.conversation or above.conversation, self.user or above.user, self.message or above.message)


@dataclass
class Entry:
    """One true call or tool execution. `whose` is what the way up says; the rest of the trace may complete it."""

    amounts: Amounts
    whose: Whose
    model: str | None


class Story:
    """What all traces of a forest share: the clock, ids, spans and the truth."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.spans: list[Span] = []
        self.truth = Totals()
        self.now_ns = START_NS
        self.response_ids: dict[str, str] = {}  # issued → to whose tenant
        self._ids = 0

    def id(self, digits: int = 16) -> str:
        self._ids += 1
        return hex_id(self._ids, digits=digits)

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self, one_in: int = 2) -> bool:
        """True about every `one_in`th time; shrinks to False."""
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)


class Trace:
    """One trace of one service while it is told: its spans, what they say, and what is true of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        story.now_ns += story.pick(2_000, 3_600_000, 90_000_000) * MS  # at once, in an hour, the next day
        self.tenant = story.pick("acme", "globex")
        self.service = story.pick("shop", "desk")
        self.trace_id = story.id(digits=32)
        self.budget = 7  # calls and steps still to be told
        self.said: list[Whose] = []
        self.around: list[Voice | None] = []  # who tells of the steps that are being told
        self.entries: list[Entry] = []
        self.orphans: list[Callable[[], None]] = []  # told when it is known whom the trace belongs to

    def owner(self, whose: Whose) -> Whose:
        """Whom something belongs to: what the way up says, else the only value that stands anywhere in the trace."""

        def only(values: set[str]) -> str:
            return values.pop() if len(values) == 1 else ""

        return whose.under(
            Whose(
                only({said.conversation for said in self.said} - {""}),
                only({said.user for said in self.said} - {""}),
                only({said.message for said in self.said} - {""}),
            )
        )

    def _post(self, entry: Entry) -> None:
        owner = self.owner(entry.whose)
        values: dict[Dimension, str] = {
            "tenant": self.tenant,
            "user": owner.user,
            "conversation": owner.conversation,
            "message": owner.message or self.trace_id,
        }
        if entry.model is not None:
            values["model"] = entry.model
        self.story.truth.post(entry.amounts, values)

    def span(
        self,
        parent: str,
        voice: Voice | None,
        name: str,
        times: tuple[int, int],
        attributes: voices.Attributes,
        said: Whose = Whose(),
        failed: bool = False,
        trace_id: str = "",
    ) -> str:
        """Tells one span, returns its id."""
        span_id = self.story.id()
        spoken = voices.whose(voice, said.conversation, said.user, said.message)
        span = Span(
            self.tenant,
            self.service,
            voice.scope if voice else "acme.web",
            trace_id or self.trace_id,
            span_id,
            parent,
            name,
            *times,
            "error" if failed else self.story.pick("unset", "ok"),
            {**attributes, **spoken},
        )
        self.story.spans.append(span)
        return span_id
