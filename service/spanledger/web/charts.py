"""Charts as SVG, drawn here. Sizes are attributes and colours are classes: no inline style, so a strict CSP holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup, escape

WIDTH, HEIGHT = 1000, 160
SERIES = 7  # colours that can be told apart; what comes after them is "other"


@dataclass(frozen=True)
class Column:
    """One bucket of a stacked chart: its name, where it leads, and an amount for each series."""

    label: str
    href: str
    amounts: Sequence[Decimal]
    description: str  # for people, on hover


def stacked(columns: Sequence[Column], label: str) -> Markup:
    """Columns from left to right, series from the bottom up. `label` says what is drawn, for screen readers."""
    most = highest(columns)
    slot = WIDTH / max(len(columns), 1)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="group" '
        f'aria-label="{escape(label)}">'
    ]
    for position, column in enumerate(columns):
        parts.append(f'<a href="{escape(column.href)}" tabindex="-1" aria-label="{escape(column.description)}">')
        parts.append(f"<title>{escape(column.description)}</title>")
        parts.append(f'<rect class="hit" x="{position * slot:.2f}" y="0" width="{slot:.2f}" height="{HEIGHT}"/>')
        top = float(HEIGHT)
        for series, amount in enumerate(column.amounts):
            tall = float(amount / most) * (HEIGHT - 2) if most > 0 and amount > 0 else 0.0
            if tall > 0:
                top -= tall
                parts.append(
                    f'<rect class="s{series}" x="{position * slot + slot * 0.1:.2f}" y="{top:.2f}" '
                    f'width="{slot * 0.8:.2f}" height="{max(tall, 1):.2f}"/>'
                )
        parts.append("</a>")
    parts.append("</svg>")
    return Markup("".join(parts))


def highest(columns: Sequence[Column]) -> Decimal:
    """The sum of the tallest column: the scale of the chart."""
    return max((sum(column.amounts, Decimal(0)) for column in columns), default=Decimal(0))


def bar(share: float, kind: str = "s0") -> Markup:
    """A share of 0 to 1 as a bar; beyond 1 it is full."""
    wide = max(0.0, min(float(share), 1.0)) * 100
    return Markup(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/>'
        f'<rect class="{escape(kind)}" width="{wide:.2f}" height="6"/></svg>'
    )


def split(parts: Sequence[tuple[str, int]], label: str) -> Markup:
    """Named amounts as parts of one bar."""
    whole = sum(amount for _, amount in parts) or 1
    drawn, left = [], 0.0
    for kind, amount in parts:
        wide = amount / whole * 100
        drawn.append(f'<rect class="{escape(kind)}" x="{left:.2f}" width="{wide:.2f}" height="6"/>')
        left += wide
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="track" width="100" height="6"/>{"".join(drawn)}</svg>'
    )


def waterfall(offset_ms: float, duration_ms: float, whole_ms: float, kind: str) -> Markup:
    """Where a span lies in its trace."""
    whole = float(whole_ms) or 1.0
    left = max(0.0, min(float(offset_ms) / whole * 100, 100.0))
    wide = max(0.4, min(float(duration_ms) / whole * 100, 100.0 - left))
    return Markup(
        '<svg class="fall" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{escape(kind)}" x="{min(left, 99.6):.2f}" y="2" width="{wide:.2f}" height="6"/></svg>'
    )


def spark(amounts: Sequence[Decimal], label: str) -> Markup:
    """A small line of columns."""
    most = max(amounts, default=Decimal(0)) or Decimal(1)
    slot = 100 / max(len(amounts), 1)
    drawn = "".join(
        f"M{position * slot:.1f} 20v{-float(amount / most) * 20:.1f}h{slot * 0.8:.1f}V20"
        for position, amount in enumerate(amounts)
        if amount > 0
    )
    return Markup(
        f'<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<path class="s0" d="{drawn}"/></svg>'
    )


def context(usage: dict[str, int], most_input: int) -> Markup:
    """Input from cache, new input and output of a turn, on the scale of the turn with most input."""
    cached, given, made = (usage[name] for name in ("cache_read_input_tokens", "input_tokens", "output_tokens"))
    scale = 100 / max(most_input, given + made, 1)
    drawn, left = [], 0.0
    for kind, tokens in (("s4", cached), ("s0", given - cached), ("s1", made)):
        drawn.append(f'<rect class="{kind}" x="{left:.2f}" width="{max(tokens, 0) * scale:.2f}" height="6"/>')
        left += max(tokens, 0) * scale
    label = f"{cached} tokens from cache, {given - cached} new input, {made} output"
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<rect class="track" width="100" height="6"/>{"".join(drawn)}</svg>'
    )
