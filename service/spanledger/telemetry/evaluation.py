"""`gen_ai.evaluation.result`: an evaluation as a log record in the trace of the answer."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace

from spanledger.principal import DEFAULT_TENANT
from spanledger.telemetry import ids, semconv
from spanledger.telemetry.seal import digest, seal
from spanledger.telemetry.setup import Telemetry

# What a seal covers, beside tenant, trace and time; view evaluations_of_logs_mv has the same list.
_SEALED = (
    semconv.MESSAGE_ID,
    semconv.EVALUATION_NAME,
    semconv.EVALUATION_EVALUATOR,
    semconv.EVALUATION_SEALED_SCORE,
    semconv.EVALUATION_LABEL,
    semconv.EVALUATION_EXPLANATION,
    semconv.EVALUATION_USER_ID,
    semconv.EVALUATION_TAGS,
    semconv.EVALUATION_TRACE_ID,
    semconv.ERROR_TYPE,
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`evaluator`: human | rule | judge. `score` None: none was given. `run_trace_id`: the evaluator's own run."""

    name: str
    evaluator: str
    score: float | None = None
    label: str = ""
    explanation: str = ""
    user_id: str = ""  # who gave it
    tags: Sequence[str] = ()
    error_type: str = ""
    run_trace_id: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """The message that is evaluated. `tenant` as on spans: empty for the default."""

    tenant: str
    message_id: str
    trace_id: str
    conversation_id: str = ""
    user_id: str = ""


def record(telemetry: Telemetry, evaluation: Evaluation, about: About) -> None:
    """Writes the event, linked to the message's trace instead of the current one. Never raises."""
    attributes: dict[str, Any] = {
        semconv.EVALUATION_NAME: evaluation.name,
        semconv.EVALUATION_EVALUATOR: evaluation.evaluator,
        semconv.EVALUATION_LABEL: evaluation.label,
        semconv.EVALUATION_EXPLANATION: evaluation.explanation if _may_explain(telemetry, evaluation) else "",
        semconv.EVALUATION_USER_ID: evaluation.user_id,
        semconv.EVALUATION_TAGS: json.dumps(list(evaluation.tags)) if evaluation.tags else "",
        semconv.EVALUATION_TRACE_ID: evaluation.run_trace_id,
        semconv.ERROR_TYPE: evaluation.error_type,
    }
    recorded = {key: value for key, value in attributes.items() if value}
    if evaluation.score is not None:
        recorded[semconv.EVALUATION_SCORE] = evaluation.score
        recorded[semconv.EVALUATION_SEALED_SCORE] = repr(float(evaluation.score))
    at_ns = time.time_ns()
    recorded |= {semconv.SEAL: sealed} if (sealed := _sealed(telemetry, about, at_ns, recorded)) else {}
    token = otel.attach(_within(about))
    try:
        telemetry.event(semconv.EVALUATION_RESULT, f"{evaluation.name}: {_result(evaluation)}", recorded, at_ns=at_ns)
    finally:
        otel.detach(token)


def _sealed(telemetry: Telemetry, about: About, at_ns: int, recorded: Mapping[str, Any]) -> str:
    trace_id = _trace_id(about)
    facts = {**recorded, semconv.MESSAGE_ID: about.message_id}
    where = (about.tenant or DEFAULT_TENANT, trace.format_trace_id(trace_id) if trace_id else "", str(at_ns))
    return seal(telemetry.seal_secret, digest((*where, *(str(facts.get(name, "")) for name in _SEALED))))


def _may_explain(telemetry: Telemetry, evaluation: Evaluation) -> bool:
    """A person's comment is handed in to be kept; a judge's explanation repeats words of the conversation."""
    return telemetry.capture_content or evaluation.evaluator == "human"


def _within(about: About) -> otel.Context:
    """A context in the message's trace, with the message's ids."""
    with ids.carry(
        tenant=about.tenant,
        message_id=about.message_id,
        conversation_id=about.conversation_id,
        user_id=about.user_id,
        correlation_id=ids.current().correlation_id,
    ):
        context = otel.get_current()
    span = trace.NonRecordingSpan(trace.SpanContext(_trace_id(about), 0, is_remote=True))
    return trace.set_span_in_context(span, context)


def _trace_id(about: About) -> int:
    """0 where it is no trace id."""
    try:
        return int(about.trace_id, 16)
    except ValueError:
        return 0


def _result(evaluation: Evaluation) -> str:
    if evaluation.error_type:
        return f"failed ({evaluation.error_type})"
    return evaluation.label or str(evaluation.score)
