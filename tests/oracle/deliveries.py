"""Ways in which spans may arrive: shuffled, re-batched, several times over, parents last, with restarts in between."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from oracle.spans import Span, encode


@dataclass(frozen=True)
class Delivery:
    """Request bodies in the order of arrival; after those whose index is in `restarts_after` the receiver restarts."""

    bodies: tuple[bytes, ...]
    restarts_after: frozenset[int]


@st.composite
def deliveries(draw: st.DrawFn, spans: Sequence[Span], max_restarts: int = 2) -> Delivery:
    """Every span one to three times, in requests of any size; the last request may come long after the others."""
    sent = [span for span in spans for _ in range(draw(st.integers(1, 3)))]
    order = draw(st.sampled_from(["shuffled", "as told", "parents last"]))
    if order == "shuffled":
        sent = draw(st.permutations(sent))
    elif order == "parents last":
        sent.sort(key=lambda span: span.end_ns)
    bodies: list[bytes] = []
    while sent:
        size = draw(st.integers(1, max(1, min(len(sent), 12))))
        bodies.append(encode(sent[:size]))
        sent = sent[size:]
    restarts = draw(st.sets(st.integers(0, max(0, len(bodies) - 1)), max_size=max_restarts))
    return Delivery(tuple(bodies), frozenset(restarts))
