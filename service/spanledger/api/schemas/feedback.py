"""Feedback, evaluations, evaluators."""

from typing import Any

from spanledger.api.schemas.common import Answer
from spanledger.stats.evaluations import Evaluation
from spanledger.stats.fields import OrNull


class TakenFeedback(Answer):
    """`score` from 0 to 1."""

    message_id: str
    trace_id: str | None
    score: float


class MessageFeedback(Answer):
    """`score` is the mean of what is not superseded; null without any."""

    message_id: str
    score: float | None
    items: list[Evaluation]


class MessageEvaluations(Answer):
    message_id: str
    items: list[Evaluation]


class Verdict(Answer):
    """The result of one evaluator. `run_trace_id`: the evaluator's own run."""

    name: str
    evaluator: str
    score: float | None
    label: OrNull
    explanation: OrNull
    user_id: OrNull
    tags: list[str]
    error_type: OrNull
    run_trace_id: OrNull


class MessageVerdicts(Answer):
    message_id: str
    items: list[Verdict]


class EvaluatorVersion(Answer):
    """`check` holds its `kind` and the settings of that kind."""

    name: str
    version: int
    check: dict[str, Any]
    workflow: OrNull
    sample_rate: float
    description: str
