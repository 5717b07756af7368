"""Jobs of one service: ordered, fired by APScheduler, worked off on the service's event loop, retried, cancelled.

APScheduler keeps time (cron, misfires, delays) and nothing else: what was ordered and how far it got stands in the
JobBook, in one transaction with the next time to fire, so that a crash neither loses a run nor makes one twice.
"""

import asyncio
import contextvars
import logging
import sys
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from spanledger.access import Principal
from spanledger.errors import BadRequest, Elsewhere, NotFound, public_message
from spanledger.jobs import book
from spanledger.jobs.book import Attempt, Job, JobBook, Spec
from spanledger.jobs.execution import Progress, Runs, Watch, execute, is_final, order_of, tell_abandoned
from spanledger.lanes import Lane, Width
from spanledger.store.quota import Quota
from spanledger.telemetry import Telemetry, audit
from spanledger.telemetry.errors import error_type
from spanledger.workflows.memory import text_of

_TENANTS_AT_ONCE = 4  # that may each have all the workers of their share
MAX_DELAY_S = 3600.0  # between two attempts
_log = logging.getLogger(__name__)
_Key = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class NewJob:
    """An order as it comes in."""

    principal: Principal
    spec: Spec
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it stands: `state` is that of its last attempt, or `scheduled`, or `cancelled`."""

    job: Job
    state: str
    attempts: list[Attempt]  # newest first
    progress: Progress | None


class Jobs:
    """Made before the runner (`watch` is one of its gates); belongs to the event loop on which `start` is called."""

    def __init__(self, records: JobBook, telemetry: Telemetry, workers: int, quota: Quota) -> None:
        self._quota = quota
        self.watch = Watch()
        self._book = records
        self._telemetry = telemetry
        self._lane = Lane("jobs", Width(total=_TENANTS_AT_ONCE * workers, share=workers, waiting=sys.maxsize))
        self._runs: Runs | None = None
        self._scheduler: Any = None
        self._tasks: set[asyncio.Task[None]] = set()  # one for each attempt that waits for its turn or runs
        self._running: dict[_Key, asyncio.Task[Any]] = {}
        self._cancelled: set[_Key] = set()

    async def start(self, runs: Runs) -> None:
        """Takes up what the last process left: waiting attempts wait on, dead ones are retried or abandoned."""
        self._runs = runs
        self._book.tidy(_now())
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._scheduler.start()
        for attempt in self._book.open_attempts():
            job = self._book.any_job(attempt.job_id)
            if job is not None and attempt.state == book.RUNNING:
                now = _now()
                tell_abandoned(self._telemetry, job, attempt, now)
                self._end(job, attempt, book.ABANDONED, "abandoned", "the process that ran it has gone", retry=True)
            elif job is not None:
                self._wait(attempt)
        for job in self._book.schedules():
            self._fire_at_its_times(job)

    async def stop(self) -> None:
        """Breaks off what runs; the next start treats it as a crash would be treated, by the job's retries."""
        if self._scheduler is None:
            return
        self._scheduler.shutdown(wait=False)
        for task in (*self._tasks, *self._running.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._running.values(), return_exceptions=True)
        self._scheduler = None

    def close(self) -> None:
        self._book.close()

    @property
    def records(self) -> JobBook:
        return self._book

    async def create(self, new: NewJob) -> JobView:
        """Raises BadRequest for a schedule that is none, QuotaExceeded, and what its runs would fail with before they
        began."""
        runs = self._needs_to_run()
        now = _now()
        principal = new.principal
        next_at = _next_fire(new.spec.schedule, now) if new.spec.schedule else None
        job = Job(uuid.uuid4().hex, principal.tenant, principal.key_id, principal.role, new.spec, now, next_at)
        await runs.check(order_of(job))
        self._quota.check_objects("job", self._book.open_jobs(job.tenant) if self._quota.objects else 0)
        if job.next_at is None:
            first = _attempt(job, 1, 1, now, new.correlation_id)
            self._book.write(first, job=job)
            self._wait(first)
        else:
            self._book.write(job=job)
            self._fire_at_its_times(job)
        self._tell("job.create", job)
        return self._view(job)

    async def cancel(self, tenant: str, job_id: str) -> JobView:
        """No further run, and the present one ends; what it used until then is in the books. Raises NotFound."""
        self._needs_to_run()
        job = self._known(tenant, job_id)
        if self._scheduler.get_job(job_id):
            self._scheduler.remove_job(job_id)
        attempts = [one for one in self._book.attempts(job_id) if one.state in book.OPEN]
        job = replace(job, cancelled=job.cancelled or bool(attempts) or job.next_at is not None, next_at=None)
        self._book.write(job=job)
        running = [self._running[one.key] for one in attempts if one.key in self._running]
        self._cancelled.update(one.key for one in attempts)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._cancelled.difference_update(one.key for one in attempts)
        for one in self._book.attempts(job_id):
            if one.state in book.OPEN:
                self._end(job, one, book.CANCELLED, "cancelled", "cancelled before it began")
        self._tell("job.cancel", job)
        return self._view(job)

    async def retry(self, tenant: str, job_id: str, correlation_id: str = "") -> JobView:
        """Runs it once more now. Raises NotFound, BadRequest while a run is under way."""
        self._needs_to_run()
        job = self._known(tenant, job_id)
        attempts = self._book.attempts(job_id, 1)
        if attempts and attempts[0].state in book.OPEN:
            raise BadRequest(f"run {attempts[0].run} of the job is {attempts[0].state}; cancel it first or wait for it")
        again = _attempt(job, attempts[0].run + 1 if attempts else 1, 1, _now(), correlation_id)
        job = replace(job, cancelled=False) if not job.spec.schedule else job
        self._book.write(again, job=job)
        self._wait(again)
        self._tell("job.retry", job)
        return self._view(job)

    def get(self, tenant: str, job_id: str) -> JobView:
        """Raises NotFound."""
        return self._view(self._known(tenant, job_id))

    def list(self, tenant: str, limit: int, before: tuple[str, str] | None = None) -> "list[JobView]":
        """Newest first."""
        return [self._view(job, attempts=1) for job in self._book.jobs(tenant, limit, before)]

    def _needs_to_run(self) -> Runs:
        if self._scheduler is None or self._runs is None:
            raise Elsewhere("this process has not the chat role; ask one that has")
        return self._runs

    def _known(self, tenant: str, job_id: str) -> Job:
        job = self._book.job(tenant, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        return job

    def _view(self, job: Job, attempts: int = 20) -> JobView:
        found = self._book.attempts(job.job_id, attempts)
        last = found[0] if found else None
        running = last is not None and last.state == book.RUNNING
        state = last.state if last is not None else "scheduled"
        if last is None or last.state not in book.OPEN:
            state = "cancelled" if job.cancelled else "scheduled" if job.next_at is not None else state
        return JobView(job, state, found, self.watch.progress(last, _now()) if running and last else None)

    def _fire_at_its_times(self, job: Job) -> None:
        due = job.next_at
        if due is not None and due < _now() and job.spec.misfire == "skip":
            due = _next_fire(job.spec.schedule, _now())
            self._book.write(job=replace(job, next_at=due))
        # A scheduled time at which no process ran is a misfire; APScheduler runs it once.
        self._scheduler.add_job(
            self._fire, _trigger(job.spec.schedule), args=[job.job_id], id=job.job_id, next_run_time=due
        )

    async def _fire(self, job_id: str) -> None:
        """A schedule's time has come."""
        job = self._book.any_job(job_id)
        if job is None or job.cancelled:
            return
        now = _now()
        job = replace(job, next_at=_next_fire(job.spec.schedule, now))
        attempts = self._book.attempts(job_id, 1)
        run = attempts[0].run + 1 if attempts else 1
        new = _attempt(job, run, 1, now, "")
        if attempts and attempts[0].state in book.OPEN:
            _log.warning("job %s is still at run %d; this time is skipped", job_id, attempts[0].run)
            self._book.write(job=job)
            return
        self._book.write(new, job=job)
        self._wait(new)

    def _wait(self, attempt: Attempt) -> None:
        """Queues it when it is due."""
        if attempt.due_at <= _now():
            self._enqueue(attempt.key)
            return
        self._scheduler.add_job(
            self._due, DateTrigger(attempt.due_at), args=[attempt.key], id="/".join(map(str, attempt.key))
        )

    async def _due(self, key: _Key) -> None:
        self._enqueue(key)

    def _enqueue(self, key: _Key) -> None:
        # Not in the context of the request that ordered it: an attempt has a trace of its own.
        task = asyncio.create_task(self._work_off(key), name=f"job-turn-{key[0]}", context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, key: _Key) -> None:
        """Runs an attempt when it is its tenant's turn."""
        job = self._book.any_job(key[0])
        if job is None:
            return
        await self._lane.enter(job.tenant)
        try:
            task = asyncio.create_task(self._attempt(key), name=f"job-{key[0]}")
            self._running[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
            await asyncio.wait({task})
        finally:
            self._lane.leave(job.tenant)

    def _done(self, key: _Key, task: "asyncio.Task[None]") -> None:
        self._running.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            _log.error("job %s could not be noted down", key[0], exc_info=task.exception())

    async def _attempt(self, key: _Key) -> None:
        """Never raises but when it is cancelled."""
        attempt = next((one for one in self._book.attempts(key[0]) if one.key == key), None)
        job = self._book.any_job(key[0])
        if attempt is None or job is None or attempt.state != book.WAITING or self._runs is None:
            return
        current = replace(attempt, state=book.RUNNING, started_at=_now())

        def began(trace_id: str) -> None:
            nonlocal current
            current = replace(current, trace_id=trace_id)
            self._book.write(current)

        try:
            outcome = await execute(self._runs, self._telemetry, job, current, began)
        except asyncio.CancelledError:
            if key in self._cancelled:
                self._end(job, current, book.CANCELLED, "cancelled", "cancelled while it ran")
            else:
                self._end(job, current, book.ABANDONED, "abandoned", "the service was stopped", retry=True)
            raise
        except Exception as exc:  # noqa: BLE001 — whatever a workflow raises is the end of this attempt, not of us
            if public_message(exc) != str(exc):
                _log.exception("job %s failed", job.job_id)
            self._end(job, current, book.FAILED, error_type(exc), public_message(exc), retry=not is_final(exc))
        else:
            current = replace(current, answer=text_of(outcome.reply.message))
            self._end(job, current, book.SUCCEEDED, "", "")

    def _end(self, job: Job, attempt: Attempt, state: str, kind: str, error: str, *, retry: bool = False) -> None:
        """Notes how an attempt ended, together with the next one if there is to be one."""
        now = _now()
        ended = replace(attempt, state=state, ended_at=now, error_type=kind, error=error[:2000])
        if not retry or job.cancelled or attempt.attempt > job.spec.retries:
            self._book.write(ended)
            return
        delay = min(job.spec.retry_delay_s * 2 ** (attempt.attempt - 1), MAX_DELAY_S)
        again = _attempt(job, attempt.run, attempt.attempt + 1, now + timedelta(seconds=delay), attempt.correlation_id)
        self._book.write(ended, again)
        if self._scheduler is not None and self._scheduler.running:
            self._wait(again)

    def _tell(self, action: str, job: Job) -> None:
        audit.record(
            self._telemetry,
            audit.AUDIT,
            action,
            "allowed",
            target=f"job/{job.job_id}",
            tenant=job.tenant,
            by=job.key_id,
        )


def _attempt(job: Job, run: int, attempt: int, due_at: datetime, correlation_id: str) -> Attempt:
    correlation_id = correlation_id or uuid.uuid4().hex
    return Attempt(job.job_id, run, attempt, book.WAITING, str(uuid.uuid4()), correlation_id, due_at)


def _trigger(schedule: str) -> Any:
    """Raises BadRequest."""
    try:
        return CronTrigger.from_crontab(schedule, timezone=UTC)
    except (ValueError, TypeError) as exc:
        raise BadRequest(
            f"schedule {schedule[:100]!r} is not a cron expression ({exc}); write five fields, "
            "minute hour day month weekday in UTC, like '*/5 * * * *' or '0 7 * * mon-fri'"
        ) from exc


def _next_fire(schedule: str, now: datetime) -> datetime:
    """Raises BadRequest for a schedule that is none or never comes."""
    found: datetime | None = _trigger(schedule).get_next_fire_time(None, now)
    if found is None:
        raise BadRequest(f"schedule {schedule[:100]!r} never comes")
    return found


def _now() -> datetime:
    return datetime.now(UTC)
