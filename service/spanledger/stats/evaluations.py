"""Evaluations of messages: feedback of people, verdicts of evaluators."""

from dataclasses import dataclass

from spanledger.stats.fields import OrNull, Time
from spanledger.stats.times import format_time
from spanledger.store import queries
from spanledger.store.client import Store

MAX_LISTED = 1000


@dataclass(frozen=True)
class Evaluation:
    """`superseded`: a newer evaluation of the same person or evaluator counts instead. `sealed`: it was recorded or
    made here; what a sender of telemetry claims is not, and counts in no score."""

    name: str
    evaluator: str
    user_id: str | None
    score: float | None
    label: OrNull
    explanation: OrNull
    tags: list[str]
    error_type: OrNull
    evaluation_trace_id: str | None
    at: Time
    superseded: bool
    sealed: bool


def evaluations(store: Store, tenant: str, message_id: str) -> list[Evaluation]:
    """All evaluations of a message, newest first."""
    params = {"tenant": tenant, "message_id": message_id, "trace_id": "", "limit": MAX_LISTED}
    return [
        Evaluation(
            row["name"],
            row["evaluator"],
            row["user_id"] or None,
            row["score"],
            row["label"],
            row["explanation"],
            row["tags"],
            row["error_type"],
            row["evaluation_trace_id"] or None,
            format_time(row["at_ns"]),
            bool(row["superseded"]),
            bool(row["sealed"]),
        )
        for row in store.dicts(queries.sql("evaluations"), params)
    ]
