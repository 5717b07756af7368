"""What must survive a restart of the jobs: what was ordered, and how far each attempt got. One SQLite file.

It is a to-do list, not history: what a run did and cost is in its spans, and old attempts are dropped from here.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spanledger.store.sqlite_files import scrub

FILE = "jobs.db"
KEPT_ATTEMPTS = 100  # of one job
KEPT_DAYS = 30  # one-off jobs, after their last attempt ended

WAITING, RUNNING = "waiting", "running"
SUCCEEDED, FAILED, CANCELLED, ABANDONED, SKIPPED = "succeeded", "failed", "cancelled", "abandoned", "skipped"
OPEN = (WAITING, RUNNING)

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    role TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at TEXT NOT NULL,
    next_at TEXT,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT
""",
    "CREATE INDEX IF NOT EXISTS jobs_of_tenant ON jobs (tenant, created_at, job_id)",
    """
CREATE TABLE IF NOT EXISTS attempts (
    job_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    message_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    due_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    error_type TEXT NOT NULL,
    error TEXT NOT NULL,
    answer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, run, attempt)
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX IF NOT EXISTS open_attempts ON attempts (state) WHERE state IN ('waiting', 'running')",
)
_JOB = "job_id, tenant, key_id, role, spec, created_at, next_at, cancelled"
_ATTEMPT = (
    "job_id, run, attempt, state, message_id, correlation_id, trace_id, due_at, started_at, ended_at, "
    "error_type, error, answer"
)


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run. `messages` bring their own history; `content` speaks to the conversation, if there is one."""

    workflow: str = ""
    content: str = ""
    messages: tuple[dict[str, Any], ...] = ()
    conversation_id: str = ""
    user_id: str = ""
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    agent: str = ""
    profile: str = ""
    prompt: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)  # how much of the conversation the model sees
    schedule: str = ""  # five cron fields, UTC; empty: once
    retries: int = 0  # attempts after the first
    retry_delay_s: float = 5.0  # before the first retry; doubles with each further one
    timeout_s: float = 600.0
    misfire: str = "run_once"  # run_once | skip: for scheduled times at which no process ran


@dataclass(frozen=True, slots=True)
class Job:
    """An order. `next_at`: when a schedule fires next; None for a one-off."""

    job_id: str
    tenant: str
    key_id: str
    role: str
    spec: Spec
    created_at: datetime
    next_at: datetime | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution: a trace of its own. `run` counts runs, `attempt` the attempts of one run; both from 1."""

    job_id: str
    run: int
    attempt: int
    state: str
    message_id: str
    correlation_id: str
    due_at: datetime
    trace_id: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_type: str = ""
    error: str = ""
    answer: str = ""  # the run's answer, kept even if its spans are lost

    @property
    def key(self) -> tuple[str, int, int]:
        return self.job_id, self.run, self.attempt


class JobBook:
    """Thread-safe. A commit survives the death of the process, not a power failure: it is not synced."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._guard = threading.RLock()
        self._db = sqlite3.connect(folder / FILE, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        for statement in _SCHEMA:
            self._db.execute(statement)
        if "answer" not in {
            row[1] for row in self._db.execute("PRAGMA table_info(attempts)")
        }:  # made before there was one
            self._db.execute("ALTER TABLE attempts ADD COLUMN answer TEXT NOT NULL DEFAULT ''")

    def close(self) -> None:
        with self._guard:
            self._db.close()

    def job(self, tenant: str, job_id: str) -> Job | None:
        rows = self._rows(f"SELECT {_JOB} FROM jobs WHERE tenant = ? AND job_id = ?", (tenant, job_id))
        return _job(rows[0]) if rows else None

    def any_job(self, job_id: str) -> Job | None:
        """For a caller that serves all tenants."""
        rows = self._rows(f"SELECT {_JOB} FROM jobs WHERE job_id = ?", (job_id,))
        return _job(rows[0]) if rows else None

    def jobs(self, tenant: str, limit: int, before: tuple[str, str] | None = None) -> list[Job]:
        """Newest first; `before` is (created_at, job_id) of the last one of the page before."""
        rows = self._rows(
            f"SELECT {_JOB} FROM jobs WHERE tenant = ? AND (created_at, job_id) < (?, ?) "
            "ORDER BY created_at DESC, job_id DESC LIMIT ?",
            (tenant, *(before or ("9999", "")), limit),
        )
        return [_job(row) for row in rows]

    def schedules(self) -> list[Job]:
        """Of all tenants, those that still fire."""
        rows = self._rows(f"SELECT {_JOB} FROM jobs WHERE next_at IS NOT NULL AND cancelled = 0", ())
        return [_job(row) for row in rows]

    def open_jobs(self, tenant: str) -> int:
        """How many of a tenant's jobs wait, run, or will fire."""
        fires = "SELECT job_id FROM jobs WHERE tenant = ? AND next_at IS NOT NULL AND cancelled = 0"
        runs = (
            "SELECT job_id FROM attempts JOIN jobs USING (job_id) WHERE state IN ('waiting', 'running') AND tenant = ?"
        )
        return int(self._rows(f"SELECT count(*) FROM ({fires} UNION {runs})", (tenant, tenant))[0][0])

    def attempts(self, job_id: str, limit: int = KEPT_ATTEMPTS) -> list[Attempt]:
        """Newest first."""
        rows = self._rows(
            f"SELECT {_ATTEMPT} FROM attempts WHERE job_id = ? ORDER BY run DESC, attempt DESC LIMIT ?", (job_id, limit)
        )
        return [_attempt(row) for row in rows]

    def open_attempts(self) -> list[Attempt]:
        """Those that wait or run, of all jobs."""
        rows = self._rows(f"SELECT {_ATTEMPT} FROM attempts WHERE state IN ('waiting', 'running')", ())
        return [_attempt(row) for row in rows]

    def write(self, *attempts: Attempt, job: Job | None = None) -> None:
        """Adds or replaces attempts, and the job with them, all or nothing."""
        with self._transaction():
            for one in attempts:
                values = (*(_plain(value) for value in _fields(one)),)
                self._db.execute(f"INSERT OR REPLACE INTO attempts ({_ATTEMPT}) VALUES ({_marks(values)})", values)
            if job is not None:
                self._put_job(job)

    def erase(self, tenant: str, user_id: str, conversation_ids: Collection[str], pseudonym: str = "") -> int:
        """Forgets the jobs of a user and of conversations; with `pseudonym` it takes the user's place in them instead.
        How many. `user_id` may be empty. Nothing of them stays in the files."""
        changed = 0
        for job_id, text in self._rows("SELECT job_id, spec FROM jobs WHERE tenant = ?", (tenant,)):
            spec = json.loads(text)
            if not ((user_id and spec["user_id"] == user_id) or spec["conversation_id"] in conversation_ids):
                continue
            changed += 1
            with self._transaction():
                if pseudonym:
                    spec["user_id"] = pseudonym
                    self._db.execute("UPDATE jobs SET spec = ? WHERE job_id = ?", (json.dumps(spec), job_id))
                else:
                    self._db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
                    self._db.execute("DELETE FROM attempts WHERE job_id = ?", (job_id,))
        if changed:
            with self._guard:
                scrub(self._db)
        return changed

    def tidy(self, now: datetime) -> None:
        """Deletes what is not needed to continue."""
        long_ago = _plain(now - timedelta(days=KEPT_DAYS))
        with self._transaction():
            self._db.execute(
                "DELETE FROM jobs WHERE created_at < ? AND next_at IS NULL AND job_id NOT IN "
                "(SELECT job_id FROM attempts WHERE ended_at IS NULL OR ended_at >= ?)",
                (long_ago, long_ago),
            )
            self._db.execute("DELETE FROM attempts WHERE job_id NOT IN (SELECT job_id FROM jobs)")
            self._db.execute(
                "DELETE FROM attempts WHERE ended_at IS NOT NULL AND run <= "
                "(SELECT max(run) FROM attempts AS a WHERE a.job_id = attempts.job_id) - ?",
                (KEPT_ATTEMPTS,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _put_job(self, job: Job) -> None:
        values = (
            *(job.job_id, job.tenant, job.key_id, job.role, json.dumps(asdict(job.spec))),
            *(_plain(job.created_at), _plain(job.next_at), int(job.cancelled)),
        )
        self._db.execute(f"INSERT OR REPLACE INTO jobs ({_JOB}) VALUES ({_marks(values)})", values)

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._guard, closing(self._db.execute(sql, values)) as cursor:
            return cursor.fetchall()


def _fields(one: Attempt) -> tuple[Any, ...]:
    return (
        *(one.job_id, one.run, one.attempt, one.state, one.message_id, one.correlation_id, one.trace_id),
        *(one.due_at, one.started_at, one.ended_at, one.error_type, one.error, one.answer),
    )


def _plain(value: Any) -> Any:
    """Times sort as texts."""
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _marks(values: tuple[Any, ...]) -> str:
    return ", ".join("?" * len(values))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _job(row: tuple[Any, ...]) -> Job:
    job_id, tenant, key_id, role, spec, created_at, next_at, cancelled = row
    known = json.loads(spec)
    wanted = Spec(**{**known, "messages": tuple(known["messages"]), "fallbacks": tuple(known["fallbacks"])})
    return Job(
        job_id, tenant, key_id, role, wanted, datetime.fromisoformat(created_at), _time(next_at), bool(cancelled)
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    job_id, run, attempt, state, message_id, correlation_id, trace_id, due, started, ended, *outcome = row
    error_type, error, answer = outcome
    found = Attempt(job_id, run, attempt, state, message_id, correlation_id, datetime.fromisoformat(due), trace_id)
    found = replace(found, started_at=_time(started), ended_at=_time(ended))
    return replace(found, error_type=error_type, error=error, answer=answer)
