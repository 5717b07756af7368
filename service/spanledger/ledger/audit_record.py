"""The result of the last audit as a file in the data folder: `spanledger status` reads it without opening the store."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from spanledger.ledger.audit import Report

_FILE = "last_audit.json"


@dataclass(frozen=True)
class AuditRecord:
    """`start` and `end` bound the window, None: everything; `tenant` None: all tenants."""

    at: str
    balanced: bool
    differences: int
    spans: int
    start: str | None
    end: str | None
    tenant: str | None


def write(data_dir: Path, report: Report) -> None:
    """Replaces the record. A folder that cannot be written to keeps the old one: an audit also runs on a full disk."""
    scope = report.scope
    record = AuditRecord(
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        balanced=report.balanced,
        differences=len(report.differences),
        spans=report.checked.get("spans", 0),
        start=scope.start.isoformat() if scope.start else None,
        end=scope.end.isoformat() if scope.end else None,
        tenant=scope.tenant,
    )
    draft = data_dir / f"{_FILE}.new"
    try:
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(data_dir / _FILE)
    except OSError:
        draft.unlink(missing_ok=True)


def read(data_dir: Path) -> AuditRecord | None:
    """The record, None when nothing was audited yet."""
    try:
        return AuditRecord(**json.loads((data_dir / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
