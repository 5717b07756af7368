"""The audit trail: entries in order, and what they come to over a period."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from spanledger.foreign.texts import harmless
from spanledger.stats.cursors import read_cursor, write_cursor
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.times import Window, format_time
from spanledger.store import queries
from spanledger.store.client import Store

MAX_ROWS = 100_000
_COLUMNS = ("event", "actor", "action", "target", "outcome", "count", "first_at", "last_at", "sealed")


@dataclass(frozen=True)
class AuditEntry:
    """`count` equal happenings; `actor`: a key's id, `local` or `unknown`. `sealed`: surely written by ourselves."""

    at: Time
    event: str
    action: str
    outcome: str
    actor: str
    user_id: OrNull
    target: OrNull
    count: int
    correlation_id: OrNull
    trace_id: OrNull
    sealed: bool
    facts: dict[str, str]


@dataclass(frozen=True)
class AuditPage:
    items: list[AuditEntry]
    next_cursor: str | None


@dataclass(frozen=True)
class ComplianceRow:
    """Who did what to which data, with which outcome, how often and when."""

    event: str
    actor: str
    action: str
    target: OrNull
    outcome: str
    count: int
    first_at: Time
    last_at: Time
    sealed: bool


@dataclass(frozen=True)
class ComplianceReport:
    """Counts are of sealed entries; `unsealed` counts what a sender wrote in the same form. `truncated`: more rows."""

    start: Annotated[Time | None, Field(serialization_alias="from")]
    end: Annotated[Time | None, Field(serialization_alias="to")]
    happenings: int
    violations: int
    validation_failures: int
    limits_exceeded: int
    config_changes: int
    data_accesses: int
    unsealed: int
    rows: list[ComplianceRow]
    truncated: bool


def entries(
    store: Store,
    tenant: str,
    secret: str,
    window: Window,
    *,
    actor: str = "",
    action: str = "",
    outcome: str = "",
    limit: int = 100,
    cursor: str | None = None,
) -> AuditPage:
    """Latest first. Raises BadRequest for a broken cursor."""
    before_ns, before_id = read_cursor(cursor) if cursor else (2**63 - 1, "")
    rows = store.dicts(
        queries.sql("audit_log"),
        {
            **_of(tenant, secret, window),
            "actor": actor,
            "action": action,
            "outcome": outcome,
            "before_ns": before_ns,
            "before_id": before_id,
            "limit": limit + 1,
        },
    )
    page = rows[:limit]
    more = write_cursor(page[-1]["at_ns"], page[-1]["entry_id"]) if len(rows) > limit else None
    return AuditPage([_entry(row) for row in page], more)


def report(store: Store, tenant: str, secret: str, window: Window) -> ComplianceReport:
    """What happened in the window."""
    rows = store.dicts(queries.sql("compliance"), {**_of(tenant, secret, window), "limit": MAX_ROWS + 1})
    done = [_done(row) for row in rows[:MAX_ROWS]]
    ours = [one for one in done if one.sealed]
    return ComplianceReport(
        start=format_time(window.start) if window.start is not None else None,
        end=format_time(window.end) if window.end is not None else None,
        happenings=_count(ours),
        violations=_count(one for one in ours if one.event == "spanledger.security" and one.outcome == "denied"),
        validation_failures=_count(one for one in ours if one.action == "request.validate"),
        limits_exceeded=_count(one for one in ours if one.event == "spanledger.limit_exceeded"),
        config_changes=_count(one for one in ours if one.action.endswith((".put", ".remove"))),
        data_accesses=_count(one for one in ours if one.action.startswith("data.")),
        unsealed=_count(one for one in done if not one.sealed),
        rows=done,
        truncated=len(rows) > MAX_ROWS,
    )


def as_csv(report: ComplianceReport) -> str:
    """The rows for a spreadsheet, in which no text can become a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in report.rows:
        facts = asdict(row)
        writer.writerow([harmless(facts[name]) for name in _COLUMNS])
    return text.getvalue()


def _of(tenant: str, secret: str, window: Window) -> dict[str, Any]:
    return {"tenant": tenant, "secret": secret, "first_ns": window.first_ns, "last_ns": window.last_ns}


def _count(rows: Iterable[ComplianceRow]) -> int:
    return sum(row.count for row in rows)


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    prefix = f"{row['event']}."
    known = {"action", "outcome", "target", "count"}
    facts = {key.removeprefix(prefix): value for key, value in row["attributes"].items() if key.startswith(prefix)}
    return AuditEntry(
        at=format_time(row["at_ns"]),
        event=row["event"],
        action=row["action"],
        outcome=row["outcome"],
        actor=row["actor"],
        user_id=row["user_id"],
        target=row["target"],
        count=row["count"],
        correlation_id=row["correlation_id"],
        trace_id=row["trace_id"],
        sealed=bool(row["sealed"]),
        facts={name: value for name, value in facts.items() if name not in known},
    )


def _done(row: Mapping[str, Any]) -> ComplianceRow:
    return ComplianceRow(
        event=row["event"],
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        outcome=row["outcome"],
        count=row["happened"],
        first_at=format_time(row["first_ns"]),
        last_at=format_time(row["last_ns"]),
        sealed=bool(row["sealed"]),
    )
