"""Jobs and their attempts."""

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment
from spanledger.stats.usage import Usage


class JobProgress(Answer):
    """What a running attempt has come to so far."""

    elapsed_ms: float
    llm_calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int


class JobAttempt(Answer):
    """One execution: a trace of its own. `usage` is null until the books know it."""

    run: int
    attempt: int
    state: str
    message_id: str
    trace_id: str | None
    correlation_id: str
    due_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    duration_ms: float | None
    error_type: str | None
    error: str | None
    usage: Usage | None


class Job(Answer):
    """`state` is that of the last attempt, or `scheduled`, or `cancelled`. `attempts`: the last ones, newest first.
    `answer`: the text of the last run that succeeded; lists leave it out."""

    job_id: str
    state: str
    workflow: str
    conversation_id: str | None
    user_id: str | None
    schedule: str | None
    retries: int
    created_at: Moment
    next_run_at: Moment | None
    runs: int
    error: str | None
    answer: str | None
    progress: JobProgress | None
    attempts: list[JobAttempt]
