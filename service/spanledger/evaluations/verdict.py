"""What is judged, and what an evaluator makes of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, in words."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` from 0 to 1; None with an `error_type`: the evaluator came to none."""

    score: float | None
    label: str = ""
    explanation: str = ""
    error_type: str = ""


def passed(holds: bool, explanation: str = "") -> Verdict:
    """The verdict of a rule."""
    return Verdict(1.0 if holds else 0.0, "pass" if holds else "fail", explanation)
