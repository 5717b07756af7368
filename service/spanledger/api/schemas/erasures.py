"""Erasures and what they did."""

from typing import Literal

from pydantic import RootModel

from spanledger.api.schemas.books import AuditReport, Repricing
from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment, Money


class ErasureReport(Answer):
    """`rows`: rows changed or deleted, by table. `files`: what was changed in the data folder beside ClickHouse.
    `entries`: counter-entries and other corrections posted; `removed_calls`, `removed_usd`: figures that they took out.
    `not_compared_spans`: spans whose raw row no longer tells their figures; audits compare them from `genai_spans` on.
    `old_parts`: parts of tables that were replaced and are still on the disk, `old_parts_until`: by when they are gone.
    """

    traces: int
    rows: dict[str, int]
    files: dict[str, int]
    entries: int
    removed_calls: int
    removed_usd: Money
    not_compared_spans: int
    balanced: bool
    differences: int
    old_parts: int
    old_parts_until: Moment | None


class Erasure(Answer):
    """`arrived_again`: traces that came later with what was erased, and were erased as well. `pseudonym`: what stands
    in the place of the id, and by which it is recognised; of a trace its id."""

    erasure_id: str
    state: Literal["running", "done", "failed"]
    kind: Literal["user", "conversation", "trace"]
    scope: Literal["content", "identity", "everything"]
    requested_at: Moment
    finished_at: Moment | None
    pseudonym: str | None
    error: str | None
    arrived_again: int
    progress: str | None = None
    report: ErasureReport | None


class OperationResult(RootModel[AuditReport | Erasure | Repricing]):
    """What the request that began an operation would have answered."""
