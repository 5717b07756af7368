"""One attempt at a job: a trace of its own around an ordinary run of the workflow."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from spanledger.access import Principal
from spanledger.errors import SpanledgerError, UpstreamError
from spanledger.jobs.book import Attempt, Job, Spec
from spanledger.principal import Role
from spanledger.telemetry import Telemetry, errors, ids
from spanledger.workflows import Completion, Order, Outcome, Turn
from spanledger.workflows.model import ModelError
from spanledger.workflows.run import Run

JOB_RUN: Final = "spanledger.job.run"
JOB_ATTEMPT: Final = "spanledger.job.attempt"
JOB_SCHEDULE: Final = "spanledger.job.schedule"
SOURCE: Final = "job"


class TimedOut(UpstreamError):
    title = "Job took too long"
    status = 504
    error_type = "timeout"


class Abandoned(SpanledgerError):
    """The process that ran it has gone."""

    title = "Job abandoned"
    error_type = "abandoned"


class Runs(Protocol):
    """The part of the runner that jobs need."""

    async def check(self, order: Order) -> None: ...

    async def answer(self, turn: Turn) -> Outcome: ...

    async def complete(self, completion: Completion) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running attempt has come to so far."""

    elapsed_ms: float
    llm_calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int


class Watch:
    """A gate that lets everything through and remembers the runs of jobs while they last."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    @asynccontextmanager
    async def admit(self, order: Order, run: Run) -> AsyncIterator[None]:
        if order.source != SOURCE:
            yield
            return
        self._runs[order.message_id] = run
        try:
            yield
        finally:
            del self._runs[order.message_id]

    def progress(self, attempt: Attempt, now: datetime) -> Progress:
        """Of an attempt that runs."""
        run = self._runs.get(attempt.message_id)
        records = list(run.records) if run is not None else []
        served = [record.usage for record in records if record.usage is not None]
        return Progress(
            elapsed_ms=round((now - (attempt.started_at or now)).total_seconds() * 1000, 3),
            llm_calls=len(served),
            failed_calls=len(records) - len(served),
            input_tokens=sum(usage.input_tokens or 0 for usage in served),
            output_tokens=sum(usage.output_tokens or 0 for usage in served),
        )


async def execute(
    runs: Runs, telemetry: Telemetry, job: Job, attempt: Attempt, began: Callable[[str], None]
) -> Outcome:
    """Runs it within a trace of its own; `began` gets the trace id first. Raises what the run raises, and TimedOut."""
    with (
        ids.carry(**_ids(job, attempt)),
        telemetry.tracer("spanledger.jobs").start_as_current_span(
            f"job {job.spec.workflow or 'chat'}",
            kind=SpanKind.INTERNAL,
            attributes=_attributes(job, attempt),
            record_exception=False,
            set_status_on_exception=False,
        ) as span,
    ):
        began(_trace_id(span))
        try:
            async with asyncio.timeout(job.spec.timeout_s):
                return await _run(runs, job, attempt)
        except TimeoutError as exc:
            late = TimedOut(f"the job was given {job.spec.timeout_s:g} s and took longer")
            errors.fail(span, late)
            raise late from exc
        except BaseException as exc:
            errors.fail(span, exc)
            raise


def tell_abandoned(telemetry: Telemetry, job: Job, attempt: Attempt, ended_at: datetime) -> None:
    """Ends the trace that a dead process left open: the same span, failed, with the times that are known."""
    context = Context()
    if attempt.trace_id:
        known = SpanContext(int(attempt.trace_id, 16), 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        context = trace.set_span_in_context(NonRecordingSpan(known), context)
    started = attempt.started_at or attempt.due_at
    with ids.carry(**_ids(job, attempt), message_id=attempt.message_id) as known_ids:
        span = telemetry.tracer("spanledger.jobs").start_span(
            f"job {job.spec.workflow or 'chat'}",
            context=context,
            attributes={**_attributes(job, attempt), **known_ids.attributes()},
            start_time=_ns(started),
        )
        errors.fail(span, Abandoned("the process that ran it has gone"))
        span.end(_ns(max(ended_at, started)))


def is_final(error: BaseException) -> bool:
    """Whether trying again is of no use."""
    if isinstance(error, ModelError):
        return not error.retryable
    return isinstance(error, SpanledgerError) and 400 <= error.status < 500 and error.status != 429


async def _run(runs: Runs, job: Job, attempt: Attempt) -> Outcome:
    order, spec = order_of(job, attempt.message_id), job.spec
    if spec.messages:
        return await runs.complete(Completion(order, spec.messages))
    if spec.conversation_id:
        return await runs.answer(Turn(order, spec.content))
    return await runs.complete(Completion(order, [{"role": "user", "content": spec.content}]))


def order_of(job: Job, message_id: str = "") -> Order:
    spec: Spec = job.spec
    return Order(
        principal=Principal(job.tenant, job.key_id, cast(Role, job.role)),
        conversation_id=spec.conversation_id,
        message_id=message_id,
        user_id=spec.user_id,
        source=SOURCE,
        workflow=spec.workflow,
        agent=spec.agent,
        profile=spec.profile,
        prompt=spec.prompt,
        variables=spec.variables,
        model=spec.model,
        fallbacks=spec.fallbacks,
        memory=spec.memory,
    )


def _ids(job: Job, attempt: Attempt) -> dict[str, str]:
    order = order_of(job).ids()
    return {
        **{name: order[name] for name in ("tenant", "key_id", "conversation_id", "user_id", "source", "workflow")},
        "job_id": job.job_id,
        "correlation_id": attempt.correlation_id,
    }


def _attributes(job: Job, attempt: Attempt) -> dict[str, str | int]:
    found: dict[str, str | int] = {JOB_RUN: attempt.run, JOB_ATTEMPT: attempt.attempt}
    return {**found, JOB_SCHEDULE: job.spec.schedule} if job.spec.schedule else found


def _trace_id(span: Span) -> str:
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
