"""What the figures of a span mean: tokens, the sender's claim of cost, the time to the first part.

A figure that cannot be counts as unknown and leaves its reason in the anomalies; it never moves another figure.
"""

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from spanledger.dialects.facts import Reading
from spanledger.dialects.identity import Ending
from spanledger.dialects.tables import EVENT
from spanledger.dialects.values import number, scaled, since_ns

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
_SCALE = Decimal(1).scaleb(-15)


def tokens(span: Reading, provider: str, end: Ending, anomalies: list[str]) -> dict[str, Any]:
    """The token columns of a span."""
    said = {name: count for name in span.counts if (count := _count(span, name, anomalies)) is not None}
    if not said:
        return {**_NONE, "usage_estimated": int(_is_marked(span))}
    return _Usage(span, provider, end, anomalies, said).columns()


def _count(span: Reading, name: str, anomalies: list[str]) -> int | None:
    text = span.x(name)
    if not text:
        return None
    if text.isdecimal() and len(text) < _SURELY_A_COUNT:
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


def _is_marked(span: Reading) -> bool:
    return span.r("estimated").lower() in ("true", "1")


class _Usage:
    """Adds up what a span said: input with its cache, output with its reasoning."""

    def __init__(self, span: Reading, provider: str, end: Ending, anomalies: list[str], said: dict[str, int]) -> None:
        self.span = span
        self.provider = provider
        self.end = end
        self.note = anomalies.append
        self.said = said
        self._source()
        is_blank = span.is_call and said.get("input_tokens") == 0 and not said.get("output_tokens")
        if is_blank and end.status != "error":
            self.note("zero:usage")  # no call takes nothing: the sender did not know
        self.input = None if is_blank else said.get("input_tokens")
        self.output = None if is_blank or end.is_unfinished else said.get("output_tokens")
        if end.is_unfinished and span.x("output_tokens"):
            self.note("aborted:output_tokens")
        self.total = said.get("total_tokens", self.inner_total)
        self.read = said.get("cache_read_input_tokens")
        self.write = self._written()
        self.cache = (self.read or 0) + (self.write or 0)
        self.reasoning = said.get("reasoning_output_tokens")
        # Langfuse's own words leave out every part named beside them, unless the total says otherwise.
        self.is_apart = self.in_words and (
            self.total is None or self.input is None or self.total != self.input + (self.output or 0)
        )

    def _source(self) -> None:
        """Where the input stands: an attribute, a usage object, or the usage within an answer; and in which words."""
        self.inner_total: int | None = None
        self.in_words = self.is_raw = False
        if self.span.r("input_tokens"):
            return
        in_usage = bool(self.span.fact("usage", "input") or self.span.fact("usage", "input_word"))
        where, inner = ("usage", "") if in_usage else ("output", "usage.")
        is_plain = self.span.fact(where, inner + "input") != ""
        self.in_words = not is_plain and (in_usage or self.span.fact(where, inner + "input_word") != "")
        total = self.span.fact(where, inner + "total")
        if total and (figure := number(total)) is not None and 0 <= figure <= MAX_COUNT:
            self.inner_total = int(figure)
        # Anthropic's and Bedrock's own usage has no total, and its input leaves out the cache.
        self.is_raw = is_plain and not total and self.span.fact(where, inner + "raw_cache") != ""

    def _written(self) -> int | None:
        """Anthropic's writes are told apart by how long they last, in some libraries only so."""
        write = self.said.get("cache_write_input_tokens")
        short, long = self.said.get("cache_write_5m"), self.said.get("cache_write_1h_input_tokens")
        if not write and (short is not None or long is not None):
            return (short or 0) + (long or 0)
        return write

    def columns(self) -> dict[str, Any]:
        whole_input, whole_output = self._whole_input(), self._whole_output()
        read = self._part(self.read, whole_input, "cache_read>input")
        room = None if whole_input is None else whole_input - (read or 0)
        write = self._part(self.write, room, "cache_write>input")
        long = self._part(self.said.get("cache_write_1h_input_tokens"), write, "cache_write_1h>cache_write")
        reasoning = self._part(self.reasoning, whole_output, "reasoning>output")
        self._check_total(whole_input, whole_output)
        is_guess = whole_input is not None and self.end.is_stream and self.span.case("usage_estimated", self.provider)
        return {
            "input_tokens": whole_input,
            "cache_read_input_tokens": read,
            "cache_write_input_tokens": write,
            "cache_write_1h_input_tokens": long,
            "output_tokens": whole_output,
            "reasoning_output_tokens": reasoning,
            **{name: self.said.get(name) for name in COLUMNS[6:]},
            "usage_estimated": int(is_guess or _is_marked(self.span)),
        }

    def _whole_input(self) -> int | None:
        if self.input is None:
            return None
        excludes = self.is_apart or self.is_raw or self.span.case("input_excludes_cache", self.provider)
        if not excludes and self.cache:
            is_beyond = self.cache > self.input and self.provider in self.span.by.sets["additive_providers"]
            if is_beyond or self.total == self.input + (self.output or 0) + self.cache:
                excludes = True
                self.note("inferred:input_excludes_cache")
        audio = self.said.get("audio_input_tokens", 0) if self.is_apart else 0
        return self.input + (self.cache if excludes else 0) + audio

    def _whole_output(self) -> int | None:
        if self.output is None:
            return None
        excludes = self.is_apart
        if not excludes and self.reasoning and self.input is not None:
            is_beyond = self.reasoning > self.output and self.provider in self.span.by.sets["thoughts_beside_output"]
            if is_beyond or self.total == self.input + self.output + self.reasoning:
                excludes = True
                self.note("inferred:output_excludes_reasoning")
        audio = self.said.get("audio_output_tokens", 0) if self.is_apart else 0
        return self.output + ((self.reasoning or 0) if excludes else 0) + audio

    def _part(self, part: int | None, whole: int | None, name: str) -> int | None:
        """A part larger than its whole is no part: it counts as unknown, the whole stays."""
        if part is not None and whole is not None and part > whole:
            self.note("contradiction:" + name)
            return None
        return part

    def _check_total(self, whole_input: int | None, whole_output: int | None) -> None:
        if self.total is None or self.input is None or whole_input is None or self.end.is_unfinished:
            return
        sums = {a + (b or 0) for a in (self.input, whole_input) for b in (self.output, whole_output)}
        if self.total not in sums:
            self.note("contradiction:total_tokens")


def saved(span: Reading) -> Decimal | None:
    """What the sender says a response cache saved, in USD; None: it does not say, or nothing that can be used."""
    try:
        amount = Decimal(span.r("saved"))
        return amount.quantize(_SCALE) if amount.is_finite() and 0 <= amount < MAX_COUNT else None
    except InvalidOperation:
        return None


def claim(span: Reading, provider: str, anomalies: list[str]) -> tuple[Decimal | None, str]:
    """What the sender says it cost, in USD, and whether the provider or the sender worked it out."""
    text = span.x("cost")
    if not text:
        return None, ""
    figure = number(text)
    reason = ""
    if figure is None:
        reason = "text"
    elif not math.isfinite(figure):
        reason = "nan"
    elif abs(figure) >= MAX_COUNT:
        reason = "huge"
    elif figure < 0:
        reason = "negative"
    elif span.r("cost_currency").lower() not in ("", "usd"):
        reason = "currency"
    try:
        amount = Decimal(0) if reason else Decimal(text).quantize(_SCALE)
    except InvalidOperation:  # what float() reads and Decimal() does not
        reason = "text"
    if reason:
        anomalies.append(f"{reason}:cost")
        return None, ""
    source = span.r("cost_source").lower()
    if amount == 0 and source != "provider":
        return None, ""  # a claim of exactly nothing is how libraries say that they know no price
    if source not in ("provider", "local"):
        is_billed = not span.r("cost") and provider in ("openrouter", "vercel_ai_gateway")
        source = "provider" if is_billed else "local"
    return amount, source


def first_chunk_ns(span: Reading, is_stream: bool, started_at_ns: int, duration_ns: int) -> int | None:
    """From the start of a call to the first part of its answer."""
    figure: float | None = None
    if text := span.r("first_chunk_s"):
        figure = scaled(text, 1e9)
    elif text := span.r("first_chunk_ms"):
        figure = scaled(text, 1e6)
    elif text := span.r("first_token"):
        in_ms = span.case("first_token_in_ms")
        figure = scaled(text, 1e6 if in_ms else 1e9) if is_stream or in_ms else None
    elif text := span.r("first_chunk_at"):
        figure = since_ns(text, started_at_ns)
    elif text := span.events.get(EVENT + "first_token_ns", ""):
        figure = number(text)
    if figure is None or not 0 <= figure <= duration_ns + 1e9:
        return None
    return round(figure)
