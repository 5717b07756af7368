"""Health, canaries, dead letters."""

from typing import Literal

from pydantic import ConfigDict

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Time


class Alive(Answer):
    status: Literal["alive"]
    version: str


class CanaryRun(Answer):
    """A small run of a workflow."""

    ok: bool
    took_ms: int | None = None
    detail: str | None = None


class Canary(Answer):
    """A span from write to read, and a run of a workflow. `detail` says what went wrong."""

    at: Time
    ok: bool
    readable_after_ms: int | None = None
    workflow: CanaryRun | None = None
    detail: str | None = None


class IngestHealth(Answer):
    """Counters are since the start, by signal or by status."""

    model_config = ConfigDict(extra="allow")

    workers_alive: int
    spool_segments: int
    spool_bytes: int
    lag_ms: int
    dead_letters: int
    last_error: str


class SettlementHealth(Answer):
    model_config = ConfigDict(extra="allow")

    lag_ms: int


class LiveHealth(Answer):
    events: int
    readers: int
    dropped_readers: int
    failures: int


class AnalysisHealth(Answer):
    messages_dropped: int = 0
    messages_failed: int = 0
    sealed: int = 0
    seals_failed: int = 0
    evaluations_dropped: int = 0


class LastAudit(Answer):
    at: Time
    balanced: bool
    differences: int


class Readiness(Answer):
    """`problems` is empty here: with any, the answer is a problem with status 503 that has the same members.
    `last_audit`: null before the first one."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ready"]
    problems: list[str]
    version: str
    lag_ms: int
    spool_bytes: int
    spool_segments: int
    canary: Canary | None
    ingest: IngestHealth
    settlement: SettlementHealth
    telemetry_dropped: dict[str, int]
    telemetry_waiting_bytes: int
    analysis: AnalysisHealth
    live: LiveHealth | None
    last_audit: LastAudit | None


class Flushed(Answer):
    flushed: bool
    took_ms: int


class DeadLetter(Answer):
    """`records` is how many in it are intact and can be sent again."""

    id: str
    signal: str
    reason: str
    size_bytes: int
    set_aside_at: Time
    records: int


class Replay(Answer):
    """`detail` says why a letter stays."""

    id: str
    result: Literal["replayed", "refused", "damaged"]
    detail: str


class Replays(Answer):
    results: list[Replay]
