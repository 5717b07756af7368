"""Provider calls: what they used, and everybody who saw them."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, NamedTuple

from hypothesis import strategies as st

from oracle import voices
from oracle.spans import Value
from oracle.story import MS, SLOT_MS, Entry, Trace, Whose
from oracle.totals import Amounts, State
from oracle.voices import VOICES, Sighting, Voice

# USD per million tokens, copied by hand from the providers' price pages: input, cache read, cache write, output.
PRICES = {
    "gpt-4o-mini": ("0.15", "0.075", "0.15", "0.60"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.15", "0.60"),
    "claude-sonnet-4-5": ("3", "0.30", "3.75", "15"),
    "claude-sonnet-4-5-20250929": ("3", "0.30", "3.75", "15"),
    "text-embedding-3-small": ("0.02", "0.02", "0.02", "0"),
}


Sum = tuple[int, int] | None  # input and output tokens of a served call, if anybody told


class Model(NamedTuple):
    """A model as it is asked for and as it answers; `mystery-1` has no price."""

    provider: str
    asked: str
    answers: str
    id_prefix: str


CHAT_MODELS = (
    Model("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "chatcmpl-"),
    Model("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "msg_"),
    Model("acme", "mystery-1", "mystery-1", "resp_"),
)
EMBEDDING = Model("openai", "text-embedding-3-small", "text-embedding-3-small", "")


@dataclass(frozen=True)
class Usage:
    """What a call used; None: no instrumentation was told."""

    input_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output_tokens: int | None = None
    reasoning: int | None = None


def served(model: str, usage: Usage, state: State | None = None, billed_usd: str = "") -> Amounts:
    """A call that a provider served. `state` is given where it does not follow from usage and price."""
    price = PRICES.get(model)
    known = usage.input_tokens is not None
    cost = Decimal(0)
    if state == "billed":
        cost = Decimal(billed_usd)
    elif price is None or not known:
        state = "unpriced"
    else:
        state = state or "computed"
        read, write = usage.cache_read or 0, usage.cache_write or 0
        tokens = ((usage.input_tokens or 0) - read - write, read, write, usage.output_tokens or 0)
        cost = sum((count * Decimal(rate) for count, rate in zip(tokens, price, strict=True)), Decimal(0)) / 10**6
    return Amounts(
        llm_calls=1,
        input_tokens=usage.input_tokens or 0,
        cache_read_input_tokens=usage.cache_read or 0,
        cache_write_input_tokens=usage.cache_write or 0,
        output_tokens=usage.output_tokens or 0,
        reasoning_output_tokens=usage.reasoning or 0,
        cost_usd=cost,
        billed_calls=int(state == "billed"),
        computed_calls=int(state == "computed"),
        estimated_calls=int(state == "estimated"),
        unpriced_calls=int(state == "unpriced"),
    )


@dataclass
class Layer:
    """One of the nested spans that tell of a call; `usage`, `details`, `id`: whether it tells them."""

    voice: Voice
    usage: bool = True
    details: bool = True
    id: bool = True


@dataclass
class Call:
    """One provider call (with the failed attempts before it), and everybody who saw it."""

    trace: Trace
    above: Whose
    model: Model
    layers: list[Layer] = field(default_factory=list)

    def tell(self, parent: str) -> list[Sum]:
        story = self.trace.story
        self.trace.budget -= 1
        self.kind: Literal["chat", "embeddings"] = "embeddings" if self.model is EMBEDDING else "chat"
        everyone = story.draw(st.permutations(VOICES))
        self.layers = [Layer(voice) for voice in everyone[: story.draw(st.integers(1, 3))]]
        self.others = [voice for voice in everyone[len(self.layers) :] if voice not in self.trace.around]
        self.start_ns = story.now_ns
        story.now_ns += (SLOT_MS + 2_000) * MS
        self.said = self._said()
        failures = story.pick(0, 0, 0, 1, 2) if len(self.layers) > 1 else 0
        fate = story.pick("served", "served", "served", "silent", "failed")
        if fate == "failed":
            self._failed(parent, max(1, failures))
            return []
        self.usage = Usage() if fate == "silent" else self._usage()
        self.response_id = "" if self.kind == "embeddings" else self._issued_id()
        if len(self.layers) == 1 and story.chance():
            return self._alone(parent)
        self._choose_tellers()
        leaf, outer_whose = self._nested(parent, failures)
        self._seen_elsewhere(parent, outer_whose, leaf)
        self.trace.entries.append(Entry(served(self.model.answers, self.usage), leaf, self.model.answers))
        return [self._sum()]

    def _issued_id(self) -> str:
        """A new response id, or one that by chance another tenant's call has too: that one is another call."""
        story, tenant = self.trace.story, self.trace.tenant
        elsewhere = [
            one
            for one, owner in story.response_ids.items()
            if owner not in (tenant, "") and one.startswith(self.model.id_prefix)
        ]
        issued: str = elsewhere[0] if elsewhere and story.chance() else self.model.id_prefix + story.id(digits=24)
        story.response_ids[issued] = "" if issued in story.response_ids else tenant
        return issued

    def _sum(self) -> Sum:
        return None if self.usage.input_tokens is None else (self.usage.input_tokens, self.usage.output_tokens or 0)

    def _said(self) -> Whose:
        """A call's own span may say whom it belongs to, but does not contradict the spans above it."""
        story = self.trace.story
        if not story.chance(3):
            return Whose()
        return Whose(
            self.above.conversation or story.pick("", "c1", "c2"), self.above.user or story.pick("", "ada", "bob")
        )

    def _usage(self) -> Usage:
        story = self.trace.story
        total = story.draw(st.integers(1, 20_000))
        if self.kind == "embeddings":
            return Usage(input_tokens=total)
        read = story.draw(st.none() | st.integers(0, total))
        may_write = self.model.provider == "anthropic"
        write = story.draw(st.none() | st.integers(0, total - (read or 0))) if may_write else None
        output = story.draw(st.integers(0, 3_000))
        return Usage(total, read, write, output, story.draw(st.none() | st.integers(0, output)))

    def _choose_tellers(self) -> None:
        """Somebody tells the usage, somebody its details, and whoever is asked for it the id."""
        story = self.trace.story
        for layer in self.layers:
            layer.usage, layer.details, layer.id = (story.chance(), story.chance(), story.chance())
        knows = story.pick(*self.layers)
        knows.usage = knows.details = True

    def _sighting(self, layer: Layer, told: bool = True) -> Sighting:
        usage = self.usage if layer.usage and told else Usage()
        return Sighting(
            kind=self.kind,
            provider=self.model.provider,
            request_model=self.model.asked,
            response_model=self.model.answers if told else "",
            response_id=self.response_id if layer.id and told else "",
            input_tokens=usage.input_tokens,
            cache_read=usage.cache_read if layer.details else None,
            cache_write=usage.cache_write if layer.details else None,
            output_tokens=self._output(usage),
            reasoning=usage.reasoning if layer.details else None,
            claimed_usd=self.trace.story.pick("", "", "0.0625"),
        )

    def _output(self, usage: Usage) -> int | None:
        """Of an embedding some say that it put out nothing, others say nothing."""
        if self.kind == "embeddings" and usage.input_tokens is not None and self.trace.story.chance(3):
            return 0
        return usage.output_tokens

    def _times(self, depth: int) -> tuple[int, int]:
        return self.start_ns + depth * 5 * MS, self.start_ns + (SLOT_MS - depth * 5) * MS

    def _nested(self, parent: str, failures: int) -> tuple[Whose, Whose]:
        """The nested spans; returns whose the innermost and the outermost is, as far as the way up says."""
        trace, story = self.trace, self.trace.story
        says = story.draw(st.integers(0, len(self.layers) - 1))
        whose, outer = self.above, self.above
        for depth, layer in enumerate(self.layers):
            said = self.said if depth == says else Whose()
            trace.said.append(said)
            if depth == len(self.layers) - 1:
                for attempt in range(failures):
                    self._attempt(parent, layer.voice, whose, depth * 5 + 1 + 2 * attempt)
            whose = said.under(whose)
            outer = whose if depth == 0 else outer
            sighting = self._sighting(layer)
            parent = trace.span(
                parent, layer.voice, "call", self._times(depth + 1), voices.call(layer.voice, sighting), said
            )
        if story.chance(4):
            trace.span(parent, None, "POST", self._times(len(self.layers) + 1), {"http.request.method": "POST"})
        return whose, outer

    def _attempt(self, parent: str, voice: Voice, whose: Whose, after_ms: int) -> None:
        """An attempt that the provider refused."""
        layer = Layer(voice, usage=False, details=False, id=False)
        seen = replace(self._sighting(layer, told=False), claimed_usd="")
        start = self.start_ns + after_ms * MS
        attributes = voices.call(voice, seen) | {"error.type": "RateLimitError"}
        self.trace.span(parent, voice, "call", (start, start + MS), attributes, failed=True)
        self.trace.entries.append(Entry(Amounts(failed_calls=1), whose, self.model.asked))

    def _failed(self, parent: str, failures: int) -> None:
        """A call that was never served: nested spans around one or more refused attempts."""
        whose = self.above
        for depth, layer in enumerate(self.layers[:-1]):
            said = self.said if depth == 0 else Whose()
            self.trace.said.append(said)
            whose = said.under(whose)
            seen = replace(self._sighting(Layer(layer.voice, False, False, False), told=False), claimed_usd="")
            attributes = voices.call(layer.voice, seen) | {"error.type": "InternalServerError"}
            parent = self.trace.span(parent, layer.voice, "call", self._times(depth), attributes, said, failed=True)
        for number in range(failures if len(self.layers) > 1 else 1):
            self._attempt(parent, self.layers[-1].voice, whose, 20 + 2 * number)

    def _alone(self, parent: str) -> list[Sum]:
        """A call with one sighting that says something special of its cost, its usage or its end."""
        story, trace, layer = self.trace.story, self.trace, self.layers[0]
        what = story.pick("estimated", "billed", "error")
        if what == "billed":
            layer.voice = VOICES[0]
        seen = replace(self._sighting(layer), claimed_usd="")
        known = self.usage.input_tokens is not None
        state: State | None = None
        if what == "billed":
            seen, state = replace(seen, billed_usd="0.0123"), "billed"
        elif what == "estimated" and known:
            seen, state = replace(seen, estimated=True), "estimated"
        error = what == "error" and known
        trace.said.append(self.said)
        attributes: dict[str, Value] = voices.call(layer.voice, seen) | ({"error.type": "ReadTimeout"} if error else {})
        trace.span(parent, layer.voice, "call", self._times(1), attributes, self.said, failed=error)
        amounts = served(self.model.answers, self.usage, state, seen.billed_usd)
        trace.entries.append(Entry(amounts, self.said.under(self.above), self.model.answers))
        return [self._sum()]

    # Copies that no parent joins

    def _seen_elsewhere(self, parent: str, outer: Whose, leaf: Whose) -> None:
        """A second span beside the call, and one in a trace of its own, by other instrumentations."""
        story = self.trace.story
        has_id = bool(self.response_id) and any(layer.id for layer in self.layers)
        if not has_id and self.usage.input_tokens is None:
            return  # nothing would tell that it is the same call
        if self.others and story.chance(4):
            self._copy(parent, self.others.pop(), has_id, Whose(), "")
        if self.others and story.chance(3):
            voice, says = self.others.pop(), story.chance()
            self.trace.orphans.append(lambda: self._orphan(voice, has_id, leaf if says else None))

    def _orphan(self, voice: Voice, has_id: bool, leaf: Whose | None) -> None:
        said = Whose()
        if leaf is not None:
            owner = self.trace.owner(leaf)
            said = Whose(owner.conversation, owner.user)
        self._copy("", voice, has_id, said, self.trace.story.id(digits=32))

    def _copy(self, parent: str, voice: Voice, has_id: bool, said: Whose, trace_id: str) -> None:
        story = self.trace.story
        by_id = has_id and (self.usage.input_tokens is None or story.chance())
        layer = Layer(voice, usage=not by_id or story.chance(), details=story.chance(), id=by_id)
        attributes = voices.call(voice, self._sighting(layer))
        self.trace.span(parent, voice, "call", self._times(2), attributes, said, trace_id=trace_id)


def twins(trace: Trace, parent: str, whose: Whose) -> list[Sum]:
    """Two different calls at once that look the same: same model and tokens, by one instrumentation."""
    story = trace.story
    trace.budget -= 2
    model, voice = story.pick(*CHAT_MODELS), story.pick(*VOICES)
    tokens = (story.draw(st.integers(1, 3)), story.draw(st.integers(0, 3)))
    start = story.now_ns
    story.now_ns += (SLOT_MS + 2_000) * MS
    with_ids = story.chance()
    for _ in range(2):
        seen = Sighting(
            kind="chat",
            provider=model.provider,
            request_model=model.asked,
            response_model=model.answers,
            response_id=model.id_prefix + story.id(digits=24) if with_ids else "",
            input_tokens=tokens[0],
            output_tokens=tokens[1],
        )
        trace.span(parent, voice, "call", (start, start + SLOT_MS * MS), voices.call(voice, seen))
        usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1])
        trace.entries.append(Entry(served(model.answers, usage), whose, model.answers))
    return [tokens, tokens]


def asked_in_tools(trace: Trace, parent: str, whose: Whose) -> list[Sum]:
    """A call, or an agent whose calls nobody saw, above tools that make calls of their own."""
    story = trace.story
    trace.budget -= 2
    start = story.now_ns
    story.now_ns += (SLOT_MS + 2_000) * MS
    model, is_agent = story.pick(*CHAT_MODELS), story.chance()
    voice = story.pick(*(one for one in VOICES if one.dialect == "genai" or not is_agent))
    tokens = (story.draw(st.integers(10_000_000, 20_000_000)), story.draw(st.integers(0, 500)))
    attributes = voices.call(voice, _simple(model, tokens, answers=not is_agent))
    if is_agent:
        attributes |= voices.step(voice, "agent", "remote")
    span = trace.span(parent, voice, "call", (start, start + SLOT_MS * MS), attributes)
    amounts = served(model.answers, Usage(tokens[0], output_tokens=tokens[1]))
    trace.entries.append(Entry(amounts, whose, model.asked if is_agent else model.answers))
    used: list[Sum] = [tokens]
    for number in range(story.pick(1, 2)):
        used.append(_in_tool(trace, span, whose, start + (10 + 20 * number) * MS))
    return used


def _in_tool(trace: Trace, parent: str, whose: Whose, start_ns: int) -> Sum:
    """A tool that makes one call."""
    story = trace.story
    teller, voice = story.pick(*VOICES), story.pick(*VOICES)
    attributes = voices.step(teller, "tool", f"tool-{story.id()[:6]}")
    tool = trace.span(parent, teller, "tool", (start_ns, start_ns + 18 * MS), attributes)
    trace.entries.append(Entry(Amounts(tool_calls=1), whose, None))
    model = story.pick(EMBEDDING, *CHAT_MODELS)
    tokens = (story.draw(st.integers(1, 5_000)), 0 if model is EMBEDDING else story.draw(st.integers(0, 500)))
    times = (start_ns + MS, start_ns + 16 * MS)
    trace.span(tool, voice, "call", times, voices.call(voice, _simple(model, tokens)))
    usage = Usage(tokens[0], output_tokens=None if model is EMBEDDING else tokens[1])
    trace.entries.append(Entry(served(model.answers, usage), whose, model.answers))
    return tokens


def _simple(model: Model, tokens: tuple[int, int], answers: bool = True) -> Sighting:
    return Sighting(
        kind="embeddings" if model is EMBEDDING else "chat",
        provider=model.provider,
        request_model=model.asked,
        response_model=model.answers if answers else "",
        input_tokens=tokens[0],
        output_tokens=None if model is EMBEDDING else tokens[1],
    )
