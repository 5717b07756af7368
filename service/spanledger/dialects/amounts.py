"""Money and time of a span: the sender's claim of cost, what a cache saved, the time to the first chunk.

A figure that cannot be counts as unknown and leaves its reason in the anomalies; it never moves another figure.
"""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from spanledger.dialects.facts import Reading
from spanledger.dialects.tables import EVENT
from spanledger.dialects.usage import MAX_COUNT
from spanledger.dialects.values import number, scaled, since_ns

BILLING = frozenset(
    {"openrouter", "vercel_ai_gateway", "perplexity", "x_ai"}
)  # providers whose usage states what they charge
_PRICED_BY_LIBRARIES = frozenset({"perplexity", "x_ai"})  # for these some libraries compute a cost too
_MARKED = re.compile(r"(?:\$\s?)?(\d+(?:\.\d+)?)(?:\s?([A-Za-z]{3}))?")  # $0.02, 0.02USD
_SCALE = Decimal(1).scaleb(-15)


def saved(text: str) -> Decimal | None:
    """What a response cache saved according to the sender, in USD; None: unknown or unusable."""
    if not text:
        return None
    try:
        amount = Decimal(text)
        return amount.quantize(_SCALE) if amount.is_finite() and 0 <= amount < MAX_COUNT else None
    except InvalidOperation:
        return None


def claim(span: Reading, provider: str, anomalies: list[str]) -> tuple[Decimal | None, str]:
    """The cost according to the sender, in USD, and whether the provider or the sender computed it."""
    text = span.own_or_nested("cost") or of_ticks(span.own("cost_ticks"))
    if not text:
        return None, ""
    currency, source = span.own("cost_currency"), span.own("cost_source")
    is_billed = not span.own("cost") and is_bill(span, provider)
    return claimed(text, currency.lower(), source.lower(), is_billed, anomalies)


def of_ticks(text: str) -> str:
    """Ticks of xAI as an amount in USD; '' for none."""
    return text and f"{text}e-10"


def is_bill(span: Reading, provider: str) -> bool:
    """Whether a cost within a value is what the provider charges."""
    if provider not in BILLING:
        return False
    return provider not in _PRICED_BY_LIBRARIES or span.places().get("cost", ("",))[0] != "cost_object"


def claimed(text: str, currency: str, source: str, is_billed: bool, anomalies: list[str]) -> tuple[Decimal | None, str]:
    """The same from the words for amount, currency and source; `is_billed`: the provider's own words are known by
    where they stand."""
    if marked := _MARKED.fullmatch(text):
        text, currency = marked[1], currency or (marked[2] or "usd").lower()
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
    elif currency not in ("", "usd"):
        reason = "currency"
    try:
        amount = Decimal(0) if reason else Decimal(text).quantize(_SCALE)
    except InvalidOperation:  # what float() reads and Decimal() does not
        reason = "text"
    if reason:
        anomalies.append(f"{reason}:cost")
        return None, ""
    if amount == 0 and source != "provider":
        return None, ""  # libraries report a cost of exactly 0 when they have no price
    if source not in ("provider", "local"):
        source = "provider" if is_billed else "local"
    return amount, source


class FirstChunk(NamedTuple):
    """The words for when the first part of an answer came, '' for none."""

    in_s: str
    in_ms: str
    token: str
    at: str
    event_ns: str


FIRST_CHUNK_FIELDS = ("first_chunk_s", "first_chunk_ms", "first_token", "first_chunk_at")  # all but the event's
_NO_CHUNK = FirstChunk("", "", "", "", "")


def first_chunk(span: Reading) -> FirstChunk:
    event = span.events.get(EVENT + "first_token_ns", "") if span.events else ""
    in_s, in_ms, token, at = [span.own(name) for name in FIRST_CHUNK_FIELDS]
    return FirstChunk(in_s, in_ms, token, at, event)


def first_chunk_ns(
    first_chunk: FirstChunk, is_stream: bool, in_ms: bool, started_at_ns: int, duration_ns: int
) -> int | None:
    """From the start of a call to the first part of its answer. `in_ms`: the dialect counts first tokens in ms."""
    if first_chunk == _NO_CHUNK:
        return None
    figure: float | None = None
    if first_chunk.in_s:
        figure = scaled(first_chunk.in_s, 1e9)
    elif first_chunk.in_ms:
        figure = scaled(first_chunk.in_ms, 1e6)
    elif first_chunk.token:
        figure = scaled(first_chunk.token, 1e6 if in_ms else 1e9) if is_stream or in_ms else None
    elif first_chunk.at:
        figure = since_ns(first_chunk.at, started_at_ns)
    elif first_chunk.event_ns:
        figure = number(first_chunk.event_ns)
    if figure is None or not 0 <= figure <= duration_ns + 1e9:
        return None
    return round(figure)
