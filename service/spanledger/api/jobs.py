"""Jobs: `/v1/jobs`. Workflows in the background, once or by a schedule."""

import asyncio
import base64
import binascii
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanledger.api.inputs import Fallbacks, Id, Memory, Model, Text
from spanledger.api.inputs import given as named
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.openai_shapes import ChatMessage
from spanledger.api.parameters import Cursor, JobId, limit
from spanledger.api.reader import Reads
from spanledger.api.schemas import jobs as schemas
from spanledger.api.schemas.common import NO_CONTENT, Page
from spanledger.errors import BadRequest
from spanledger.jobs import Attempt, Jobs, JobView, NewJob, Spec
from spanledger.jobs.book import SUCCEEDED
from spanledger.runtime.services import Caller
from spanledger.stats.jobs import usage_of_attempts
from spanledger.store.client import Store
from spanledger.telemetry import ids

MAX_CONTENT = 512 * 1024
router = APIRouter(tags=["jobs"], route_class=ListingRoute)


class NewJobBody(BaseModel):
    """`content` is a message (to `conversation_id`, if given, whose history it continues); `messages` bring their own
    history. `schedule`: five cron fields in UTC, without it the job runs once and now. `retries` are attempts after the
    first, `retry_delay_s` apart, doubling. `misfire` says what becomes of times at which nothing ran."""

    model_config = ConfigDict(extra="forbid")

    workflow: Text = ""
    content: Annotated[Text, Field(max_length=MAX_CONTENT)] = ""
    messages: Annotated[list[ChatMessage], Field(max_length=1000, fail_fast=True)] = []
    conversation_id: Id | None = None
    user_id: Id | None = None
    model: Model | None = None
    fallbacks: Fallbacks = []
    agent: Id | None = None
    profile: Id | None = None
    prompt: Id | None = None
    variables: dict[str, Text] = {}
    memory: Memory | None = None
    schedule: Annotated[str, Field(max_length=200)] = ""
    retries: Annotated[int, Field(ge=0, le=20)] = 0
    retry_delay_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    misfire: Literal["run_once", "skip"] = "run_once"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if bool(self.content.strip()) == bool(self.messages):
            raise ValueError("give either content or messages")
        if len(json.dumps(self.whole_messages())) > MAX_CONTENT:
            raise ValueError(f"messages may have {MAX_CONTENT:,} characters together")
        return self

    def whole_messages(self) -> list[dict[str, Any]]:
        return [message.model_dump(exclude_unset=True) for message in self.messages]


def _jobs(parts: Parts) -> Jobs:
    return parts.jobs


Queue = Annotated[Jobs, Depends(_jobs)]


@router.post("/v1/jobs", status_code=202)
async def create_job(
    order: NewJobBody, parts: Parts, jobs: Queue, principal: Caller, response: Response
) -> schemas.Job:
    """Takes the job and answers at once; `GET /v1/jobs/{job_id}` tells how it goes."""
    models = (order.model or "", *order.fallbacks)
    await asyncio.to_thread(parts.references.check_models, principal.tenant, models)
    given = order.model_dump(exclude={"memory"}) | {"memory": named(order.memory)}
    spec = Spec(
        **{name: value for name, value in given.items() if value is not None and name not in {"messages", "fallbacks"}},
        messages=tuple(order.whole_messages()),
        fallbacks=tuple(order.fallbacks),
    )
    view = await jobs.create(NewJob(principal, spec, ids.current().correlation_id))
    response.headers["Location"] = f"/v1/jobs/{view.job.job_id}"
    return _to_schema(view, {})


@router.get("/v1/jobs")
def list_jobs(
    jobs: Queue, reads: Reads, limit: Annotated[int, limit(1000)] = 50, cursor: Cursor = ""
) -> Page[schemas.Job]:
    """This tenant's jobs, newest first, each with its last attempt."""
    found = jobs.list(reads.tenant, limit + 1, _read_cursor(cursor) if cursor else None)
    page = found[:limit]
    used = _used(reads.store, reads.tenant, [one for view in page for one in view.attempts])
    more = _write_cursor(page[-1]) if len(found) > limit else None
    return Page(items=[_to_schema(view, used) for view in page], next_cursor=more)


@router.get("/v1/jobs/{job_id}")
def get_job(job_id: JobId, jobs: Queue, reads: Reads) -> schemas.Job:
    """A job with its last attempts, what they used by the books, and live progress while one runs."""
    view = jobs.get(reads.tenant, job_id)
    answer = next((one.answer for one in view.attempts if one.state == SUCCEEDED), None)
    return _to_schema(view, _used(reads.store, reads.tenant, view.attempts), answer)


@router.delete("/v1/jobs/{job_id}", **NO_CONTENT)
async def cancel_job(job_id: JobId, jobs: Queue, principal: Caller) -> None:
    """Takes it off its schedule and ends a run under way; the job stays readable."""
    await jobs.cancel(principal.tenant, job_id)


@router.post("/v1/jobs/{job_id}/retry", status_code=202)
async def retry_job(job_id: JobId, jobs: Queue, reads: Reads) -> schemas.Job:
    """Runs it once more, now."""
    view = await jobs.retry(reads.tenant, job_id, ids.current().correlation_id)
    return _to_schema(view, await asyncio.to_thread(_used, reads.store, reads.tenant, view.attempts))


def _used(store: Store, tenant: str, attempts: list[Attempt]) -> dict[str, Any]:
    found = usage_of_attempts(store, tenant, [one.message_id for one in attempts])
    return {message_id: asdict(usage) for message_id, usage in found.items()}


def _to_schema(view: JobView, used: dict[str, Any], answer: str | None = None) -> schemas.Job:
    job, spec = view.job, view.job.spec
    last = view.attempts[0] if view.attempts else None
    return schemas.Job.model_validate(
        {
            "job_id": job.job_id,
            "state": view.state,
            "workflow": spec.workflow or "chat",
            "conversation_id": spec.conversation_id or None,
            "user_id": spec.user_id or None,
            "schedule": spec.schedule or None,
            "retries": spec.retries,
            "created_at": job.created_at,
            "next_run_at": job.next_at,
            "runs": last.run if last else 0,
            "error": last.error or None if last else None,
            "answer": answer,
            "progress": asdict(view.progress) if view.progress else None,
            "attempts": [_attempt(one, used.get(one.message_id)) for one in view.attempts],
        }
    )


def _attempt(one: Attempt, usage: dict[str, Any] | None) -> dict[str, Any]:
    took = (one.ended_at - one.started_at).total_seconds() if one.ended_at and one.started_at else None
    return {
        "run": one.run,
        "attempt": one.attempt,
        "state": one.state,
        "message_id": one.message_id,
        "trace_id": one.trace_id or None,
        "correlation_id": one.correlation_id,
        "due_at": one.due_at,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "duration_ms": None if took is None else round(took * 1000, 3),
        "error_type": one.error_type or None,
        "error": one.error or None,
        "usage": usage,
    }


def _write_cursor(view: JobView) -> str:
    position = [view.job.created_at.isoformat(timespec="microseconds"), view.job.job_id]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(created_at, str) or not isinstance(job_id, str):
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as exc:
        raise BadRequest("cursor is not one that this API gave out; leave it away to start over") from exc
    return created_at, job_id
