"""Random span forests that carry their truth.

A forest is drawn as a story: traces of services; workflows, agents, tools and plain spans around calls; and each
provider call seen by one to five instrumentations, with retries. Every call has a stretch of time of its own, because
without a response id only time, model and token counts can tell that two spans are one call.
"""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from oracle import voices
from oracle.calls import CHAT_MODELS, EMBEDDING, Call, Sum, Usage, asked_in_tools, served, twins
from oracle.spans import Span, hex_id
from oracle.story import MS, Entry, Story, Trace, Whose
from oracle.totals import Amounts, Totals
from oracle.voices import VOICES, Voice


@dataclass(frozen=True)
class Forest:
    """Spans in no particular order, and what the books must say about them."""

    spans: tuple[Span, ...]
    truth: Totals


def isolated(forest: Forest, name: str) -> Forest:
    """The same forest with tenants and ids of its own, so that many fit into one database."""

    def tenant(value: str) -> str:
        return f"{name}-{value}"

    def trace(value: str) -> str:
        return hex_id(name, value, digits=32)

    traces = {span.trace_id for span in forest.spans}
    spans = (replace(span, tenant=tenant(span.tenant), trace_id=trace(span.trace_id)) for span in forest.spans)
    truth = Totals()
    for dimension, sums in forest.truth.sums.items():
        for (owner, value), amounts in sums.items():
            renamed = trace(value) if value in traces else tenant(value) if dimension == "tenant" else value
            truth.sums[dimension][tenant(owner), renamed] = amounts
    return Forest(tuple(spans), truth)


@st.composite
def forests(draw: st.DrawFn, max_traces: int = 4) -> Forest:
    """A forest of one to `max_traces` applications' traces, plus the orphan traces that hold copies of their calls."""
    story = Story(draw)
    for _ in range(draw(st.integers(1, max_traces))):
        _Steps(story).tell()
    return Forest(tuple(story.spans), story.truth)


class _Steps(Trace):
    """Tells a trace as a tree of steps around calls."""

    def tell(self) -> None:
        dangling = self.story.id() if self.story.chance(6) else ""
        if self.story.chance(5):
            self._child(dangling, Whose(), depth=0)
        else:
            self._step(dangling, Whose(), depth=0)
        for entry in self.entries:
            self._post(entry)
        for orphan in self.orphans:
            orphan()

    def _step(self, parent: str, above: Whose, depth: int) -> list[Sum]:
        """A span that holds others; returns the usage of the served calls below it, None where unknown."""
        story = self.story
        self.budget -= 1
        kind: str = story.pick("plain", "workflow", "agent", "tool", "task")
        name = f"{kind}-{story.id()[:6]}"
        said = self._said(often=depth == 0)
        voice = None if kind == "plain" else story.pick(*VOICES)
        failed = kind == "tool" and story.chance(3)
        started, place = story.now_ns, len(story.spans)
        inner = self.span(parent, voice, kind, (0, 0), {}, said, failed)
        if kind == "tool" and story.chance(3):  # a second instrumentation tells of the same execution
            other = story.pick(*(one for one in VOICES if one != voice))
            inner = self.span(inner, other, kind, (0, 0), voices.step(other, kind, name), failed=failed)
        told = range(place, len(story.spans))
        self.said.append(said)
        whose = said.under(above)
        used = self._children(inner, voice, whose, depth)
        for level, index in enumerate(told):
            start, end = started + level * MS, story.now_ns - level * MS
            story.spans[index] = replace(story.spans[index], start_ns=start, end_ns=end)
        if voice:
            attributes = voices.step(voice, kind, name)
            if kind in ("agent", "workflow"):
                attributes |= self._total(voice, kind, used, whose)
            outer = story.spans[place]
            story.spans[place] = replace(outer, attributes={**attributes, **outer.attributes})
        if kind == "tool":
            self.entries.append(Entry(Amounts(tool_calls=1, failed_tool_calls=int(failed)), whose, None))
        return used

    def _children(self, parent: str, voice: Voice | None, whose: Whose, depth: int) -> list[Sum]:
        used: list[Sum] = []
        self.story.now_ns += 5 * MS
        self.around.append(voice)
        for _ in range(self.story.draw(st.integers(1 if depth == 0 else 0, 3))):
            if self.budget > 0:
                used += self._child(parent, whose, depth)
        self.around.pop()
        self.story.now_ns += 5 * MS
        return used

    def _child(self, parent: str, whose: Whose, depth: int) -> list[Sum]:
        match self.story.pick("call", "twins", "tools", "embedding", "step"):
            case "step" if depth < 3:
                return self._step(parent, whose, depth + 1)
            case "twins":
                return twins(self, parent, whose)
            case "tools":
                return asked_in_tools(self, parent, whose)
            case "embedding":
                return Call(self, whose, EMBEDDING).tell(parent)
            case _:
                return Call(self, whose, self.story.pick(*CHAT_MODELS)).tell(parent)

    def _said(self, often: bool) -> Whose:
        """What a step says of whom it belongs to."""
        story = self.story
        return Whose(
            story.pick("", "c1", "c2") if often or story.chance(4) else "",
            story.pick("", "ada", "bob") if often or story.chance(4) else "",
            story.pick("", "m1", "m2") if story.chance(4) else "",
        )

    def _total(self, voice: Voice, kind: str, used: list[Sum], whose: Whose) -> voices.Attributes:
        """An agent or workflow may repeat the sum of its calls; one whose calls nobody saw says all there is."""
        told = [one for one in used if one is not None]
        if told and len(told) == len(used) and self.story.chance():
            return voices.total_of(voice, sum(one[0] for one in told), sum(one[1] for one in told))
        if not used and kind == "agent" and voice.dialect == "genai" and self.story.chance():
            model = self.story.pick(*CHAT_MODELS)
            tokens = (self.story.draw(st.integers(1, 5000)), self.story.draw(st.integers(0, 500)))
            said = {"gen_ai.provider.name": model.provider, "gen_ai.request.model": model.asked}
            usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1])
            self.entries.append(Entry(served(model.asked, usage), whose, model.asked))
            used.append(tokens)
            return {**said, **voices.total_of(voice, *tokens)}
        return {}
