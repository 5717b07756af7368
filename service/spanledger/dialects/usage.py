"""What the counts of a span mean: tokens.

A figure that cannot be counts as unknown and leaves its reason in the anomalies; it never moves another figure.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from spanledger.dialects.facts import Reading
from spanledger.dialects.identity import Ending
from spanledger.dialects.values import number

_SURELY_A_COUNT = 13  # digits
MAX_COUNT = 10**12  # no call has more tokens; a sum of a million such calls still fits an Int64
COLUMNS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
_NONE: dict[str, Any] = {**dict.fromkeys(COLUMNS), "usage_estimated": 0}


class Case(NamedTuple):
    """All that decides what the counts of a span mean, beside the counts themselves."""

    is_call: bool
    is_inference: bool
    is_error: bool
    is_unfinished: bool
    has_output_text: bool
    in_words: bool  # the input stands in Langfuse's own words,
    is_raw: bool  # in Anthropic's or Bedrock's own usage,
    is_google: bool  # or in Google's
    excludes_cache: bool
    is_additive: bool  # the provider's input may leave out the cache
    has_thoughts_beside: bool  # the provider's output leaves out its thoughts
    is_guess: bool  # counts of streams are the library's own
    is_marked: bool  # the sender marked the counts as its own
    makes_images: bool
    has_tool_use_within: bool  # the sender adds what tools read to the input


def case_of(span: Reading, provider: str, model: str, end: Ending) -> Case:
    """The case of a span whose request or answer names `model`."""
    in_words, is_raw, is_google = _source(span, provider)
    return Case(
        is_call=span.is_call,
        is_inference=span.role == "inference",
        is_error=end.status == "error",
        is_unfinished=end.is_unfinished,
        has_output_text=span.own_or_nested("output_tokens") != "",
        in_words=in_words,
        is_raw=is_raw,
        is_google=is_google,
        excludes_cache=span.case("input_excludes_cache", provider),
        is_additive=provider in span.by.sets["additive_providers"],
        has_thoughts_beside=provider in span.by.sets["thoughts_beside_output"],
        is_guess=end.is_stream and span.case("usage_estimated", provider),
        is_marked=span.own("estimated").lower() in ("true", "1"),
        makes_images=span.by.makes_images(model.lower()),
        has_tool_use_within=span.case("tool_use_within_input", provider),
    )


def _source(span: Reading, provider: str) -> tuple[bool, bool, bool]:
    """Whether the input stands in Langfuse's own words, in Anthropic's or Bedrock's own usage, or in Google's."""
    if not span.present or span.own("input_tokens"):
        return False, False, False
    in_usage = bool(span.fact("usage", "input") or span.fact("usage", "input_word"))
    where, inner = ("usage", "") if in_usage else ("output", "usage.")
    is_plain = span.fact(where, inner + "input") != ""
    in_words = not is_plain and (in_usage or span.fact(where, inner + "input_word") != "")
    # Anthropic's and Bedrock's own usage has no total, and its input leaves out the cache.
    adds = provider in span.by.sets["additive_providers"] or not span.by.is_provider(provider)
    is_raw = is_plain and adds and not span.fact(where, inner + "total") and span.fact(where, inner + "raw_cache") != ""
    return in_words, is_raw, is_plain and span.fact(where, inner + "google") != ""


def counts_of(span: Reading, anomalies: list[str]) -> dict[str, int]:
    """The usable token counts of a span."""
    return {name: count for name in span.counts if (count := _count(span, name, anomalies)) is not None}


def tokens(case: Case, counts: Mapping[str, Any], anomalies: list[str]) -> dict[str, Any]:
    """The token columns of a span of this case with these counts.

    Counts are used in sums, comparisons and as truth values only, so that figures.py can work out once what holds for
    many of them.
    """
    if not counts:
        return {**_NONE, "usage_estimated": int(case.is_marked)}
    columns = _Usage(case, counts, anomalies.append).columns()
    if counts.get("compaction_output_tokens"):
        columns |= _with_compaction(columns, counts)
    for side in ("input", "output"):
        if apart := counts.get(f"apart_{side}_tokens"):
            columns[f"{side}_tokens"] = (columns[f"{side}_tokens"] or 0) + apart
    output = columns["output_tokens"]
    if case.makes_images and output and columns["image_output_tokens"] is columns["audio_output_tokens"] is None:
        # The output of an image model is images, even if its usage does not name the kind.
        columns["image_output_tokens"] = output - (columns["reasoning_output_tokens"] or 0)
    return columns


def _with_compaction(columns: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    """Input and output with the tokens of Anthropic's compactions, unless the sender's output includes them."""
    output, compaction = columns["output_tokens"], counts["compaction_output_tokens"]
    if output is None or output >= compaction + counts.get("message_output_tokens", 0):
        return {}
    read, write = (counts.get(f"compaction_cache_{kind}_tokens") for kind in ("read", "write"))
    added = counts.get("compaction_input_tokens", 0) + (read or 0) + (write or 0)
    found = {"input_tokens": (columns["input_tokens"] or 0) + added, "output_tokens": output + compaction}
    for name, part in (("cache_read_input_tokens", read), ("cache_write_input_tokens", write)):
        if part:
            found[name] = (columns[name] or 0) + part
    return found


def is_plain_count(text: str) -> bool:
    """Whether a text is a count without a further look."""
    return text.isdecimal() and len(text) < _SURELY_A_COUNT


def _count(span: Reading, name: str, anomalies: list[str]) -> int | None:
    text = span.own_or_nested(name)
    if not text:
        return None
    if is_plain_count(text):
        return int(text)
    figure = number(text)
    if figure is None:
        reason = "text"
    elif math.isnan(figure):
        reason = "nan"
    elif figure < 0:
        reason = "negative"
    elif figure > MAX_COUNT:
        reason = "huge"
    elif figure != int(figure):
        reason = "fractional"
    else:
        return int(figure)
    anomalies.append(f"{reason}:{name}")
    return None


class _Parts(NamedTuple):
    """Which parts of a call's usage its sender left out of the whole."""

    read: bool = False
    write: bool = False
    reasoning: bool = False
    tool_use: bool = False


class _Usage:
    """Adds up the counts of a span: input with cache and tool use, output with reasoning.

    Where the sender's words or dialect do not settle what a whole includes, the stated total does: the first reading of
    the figures that adds up to it is taken.
    """

    def __init__(self, case: Case, counts: Mapping[str, Any], note: Callable[[str], None]) -> None:
        self.case = case
        self.note = note
        self.counts = counts
        is_blank = case.is_call and counts.get("input_tokens") == 0 and not counts.get("output_tokens")
        is_blank = is_blank and not (counts.get("compaction_output_tokens") or counts.get("apart_output_tokens"))
        if is_blank and not case.is_error:
            self.note("zero:usage")  # no call takes nothing: the sender did not know
        self.input = None if is_blank else counts.get("input_tokens")
        self.output = None if is_blank or case.is_unfinished else counts.get("output_tokens")
        if case.is_unfinished and case.has_output_text:
            self.note("aborted:output_tokens")
        # A total of 0 beside other counts is ignored.
        self.total = counts.get("total_tokens") or None
        self.read = counts.get("cache_read_input_tokens")
        self.write = self._written()
        self.reasoning = counts.get("reasoning_output_tokens")
        self.tool_use = counts.get("tool_use_input_tokens") or 0
        self.is_uncertain = False
        # Langfuse's counts exclude the parts that it lists separately, unless the total includes them.
        self.is_apart = case.in_words and (
            self.total is None or self.input is None or self.total != self.input + (self.output or 0)
        )
        self._settle_input_of_total()

    def _written(self) -> int | None:
        """Anthropic reports cache writes by lifetime; some libraries only pass these parts on."""
        write = self.counts.get("cache_write_input_tokens")
        short, long = self.counts.get("cache_write_5m"), self.counts.get("cache_write_1h_input_tokens")
        if not write and (short is not None or long is not None):
            return (short or 0) + (long or 0)
        return write

    def _settle_input_of_total(self) -> None:
        """A count that stands only in the total: the rest of it, when the other whole is known."""
        if self.total is None or self.case.is_unfinished:
            return
        if not self.case.is_inference:
            if self.case.is_call and self.input is None and not self.output:
                self.input = self.total  # an embedding has no output
            return
        beside_input = self.tool_use if self.case.is_google else 0
        beside_output = (self.reasoning or 0) if self.case.is_google else 0
        if self.input is None and self.output is not None:
            rest = self.total - self.output - beside_output - beside_input
            if rest > 0:
                self.input, self.is_uncertain = (
                    rest,
                    bool(not self.case.is_google and (self.reasoning or self.tool_use)),
                )
                self.note("inferred:input_tokens")
        elif self.output is None and self.input is not None:
            rest = self.total - self.input - beside_output - beside_input
            if rest > 0 or beside_output > 0 <= rest:
                self.output, self.is_uncertain = rest, bool(self.read or self.write or beside_input != self.tool_use)
                self.note("inferred:output_tokens")

    def columns(self) -> dict[str, Any]:
        beside = self._beside()
        whole_input, whole_output = self._wholes(beside)
        read = self._part(self.read, whole_input, "cache_read>input")
        room = None if whole_input is None else whole_input - (read or 0)
        write = self._part(self.write, room, "cache_write>input")
        long = self._part(self.counts.get("cache_write_1h_input_tokens"), write, "cache_write_1h>cache_write")
        reasoning = self._part(self.reasoning, whole_output, "reasoning>output")
        image_output = self.counts.get("image_output_tokens")
        is_guess = whole_input is not None and self.case.is_guess
        return {
            "input_tokens": whole_input,
            "cache_read_input_tokens": read,
            "cache_write_input_tokens": write,
            "cache_write_1h_input_tokens": long,
            "output_tokens": whole_output,
            "reasoning_output_tokens": reasoning,
            "audio_input_tokens": self._fresh("audio"),
            "audio_output_tokens": self.counts.get("audio_output_tokens"),
            "image_input_tokens": self._fresh("image"),
            "image_output_tokens": self._part(image_output, whole_output, "image_output>output"),
            "usage_estimated": int(is_guess or self.is_uncertain or self.case.is_marked),
        }

    def _fresh(self, kind: str) -> Any:
        """Audio or image tokens of the input without those read from the cache, which have the price of cache reads."""
        whole, cached = self.counts.get(f"{kind}_input_tokens"), self.counts.get(f"{kind}_cache_read_tokens")
        if not whole or not cached or self.is_apart:
            return whole
        return whole - cached if cached <= whole and cached <= (self.read or 0) else whole

    def _beside(self) -> _Parts:
        """Which parts stand beside the wholes."""
        cache = (self.read or 0) + (self.write or 0)
        if self.is_apart or self.case.is_raw or self.case.excludes_cache:
            known = _Parts(bool(self.read), bool(self.write), self.is_apart and bool(self.reasoning))
            return known._replace(tool_use=self._is_tool_use_beside())
        if self.case.is_google:
            return _Parts(reasoning=bool(self.reasoning), tool_use=bool(self.tool_use))
        if self.input is None or self.output is None:
            return _Parts()
        if self.total is not None and (fitting := self._fitting()) is not None:
            return fitting
        additive, thoughts = self.case.is_additive, self.case.has_thoughts_beside
        found = _Parts(
            read=bool(self.read) and additive and cache > self.input,
            write=bool(self.write) and additive and cache > self.input,
            reasoning=thoughts and (self.reasoning or 0) > self.output,
            tool_use=self._is_tool_use_beside(),
        )
        self._note_inferred(found)
        return found

    def _is_tool_use_beside(self) -> bool:
        return bool(self.tool_use) and not self.case.has_tool_use_within

    def _fitting(self) -> _Parts | None:
        """The reading of the figures that adds up to the stated total; None for none. Those that leave out less come
        first."""
        either = (False, True)
        readings = [
            _Parts(read, write, reasoning, tool_use)
            for tool_use in (either if self.tool_use else (False,))
            for reasoning in (either if self.reasoning else (False,))
            for read, write in ((False, False), (True, True), (False, True), (True, False))
            if (self.read or not read) and (self.write or not write)
        ]
        for reading in readings:
            if self._sum(reading) == self.total and self._has_room(reading):
                self._note_inferred(reading)
                return reading
        return None

    def _has_room(self, beside: _Parts) -> bool:
        """Whether what a reading takes to be within a whole is no larger than it. A total that its sender formed of the
        two wholes fits a reading that cannot be."""
        cache = 0 if beside.read else self.read or 0
        cache += 0 if beside.write else self.write or 0
        is_input = not self.case.is_additive or cache <= (self.input or 0)
        thoughts = 0 if beside.reasoning else self.reasoning or 0
        return is_input and (not self.case.has_thoughts_beside or thoughts <= (self.output or 0))

    def _sum(self, beside: _Parts) -> int:
        whole_input, whole_output = self._wholes(beside, with_rest=False)
        return (whole_input or 0) + (whole_output or 0)

    def _note_inferred(self, beside: _Parts) -> None:
        if beside.read or beside.write:
            self.note("inferred:input_excludes_cache")
        if beside.reasoning:
            self.note("inferred:output_excludes_reasoning")

    def _wholes(self, beside: _Parts, with_rest: bool = True) -> tuple[int | None, int | None]:
        """Input and output with everything that belongs to them."""
        if self.input is None and self.output is None:
            return None, None
        added = (self.read or 0) * beside.read + (self.write or 0) * beside.write + self.tool_use * beside.tool_use
        thoughts = (self.reasoning or 0) * beside.reasoning
        media_in = self._media("audio_input_tokens", "image_input_tokens")
        media_out = self._media("audio_output_tokens", "image_output_tokens")
        whole_input = None if self.input is None else self.input + added + media_in
        whole_output = None if self.output is None else self.output + thoughts + media_out
        if not with_rest or self.total is None or self.input is None or self.case.is_unfinished:
            return whole_input, whole_output
        return self._with_rest(whole_input or 0, whole_output)

    def _media(self, *names: str) -> Any:
        return sum(self.counts.get(name, 0) for name in names) if self.is_apart else 0

    def _with_rest(self, whole_input: int, whole_output: int | None) -> tuple[int, int | None]:
        """The part of a total beyond input and output: Google's thoughts, or what its server-side tools read."""
        total, plain = self.total or 0, (self.input or 0) + (self.output or 0)
        if total in (whole_input + (whole_output or 0), plain, whole_input + (self.output or 0)):
            return whole_input, whole_output
        if (self.input or 0) + (whole_output or 0) == total:
            return whole_input, whole_output
        rest = total - whole_input - (whole_output or 0)
        if rest > 0 and whole_output is not None and self.case.has_thoughts_beside:
            if self.reasoning is None:
                # Thoughts and tool input cannot be distinguished here; thoughts are far more frequent.
                self.note("inferred:thoughts")
                self.is_uncertain, self.reasoning = True, rest
                return whole_input, whole_output + rest
            thoughts = self._thoughts_beside(rest, whole_output)
            if not self.tool_use:
                self.note("inferred:tool_use")
                return whole_input + rest - thoughts, whole_output + thoughts
        self.note("contradiction:total_tokens")
        self.is_uncertain = True
        return whole_input, whole_output

    def _thoughts_beside(self, rest: int, whole_output: int) -> int:
        """Of Google, thoughts stand beside the candidates when the rest has room for them and they are not in yet."""
        thoughts = self.reasoning or 0
        is_in = whole_output != self.output
        return 0 if is_in or thoughts > rest else thoughts

    def _part(self, part: int | None, whole: int | None, name: str) -> int | None:
        """A part larger than its whole is no part: it counts as unknown, the whole stays."""
        if part is not None and whole is not None and part > whole:
            self.note("contradiction:" + name)
            self.is_uncertain = True
            return None
        return part
