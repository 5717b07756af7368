"""The results of audits as a file in the data folder: `spanledger status` reads it without opening the store."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `spanledger status` reads records without loading the engine's client
    from spanledger.ledger.audit import Report

_FILE = "audits.jsonl"  # the latest is the last line
_KEPT = 200


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
    repaired: bool = False


def write(data_dir: Path, report: "Report", repaired: bool = False) -> None:
    """Adds a record and forgets the oldest. A folder that cannot be written to keeps what it has: an audit also runs on
    a full disk."""
    scope = report.scope
    record = AuditRecord(
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        balanced=report.balanced,
        differences=len(report.differences),
        spans=report.checked.get("spans", 0),
        start=scope.start.isoformat() if scope.start else None,
        end=scope.end.isoformat() if scope.end else None,
        tenant=scope.tenant,
        repaired=repaired,
    )
    draft = data_dir / f"{_FILE}.new"
    lines = [json.dumps(asdict(one)) for one in [*history(data_dir), record][-_KEPT:]]
    try:
        draft.write_text("\n".join(lines) + "\n")
        draft.replace(data_dir / _FILE)
    except OSError:
        draft.unlink(missing_ok=True)


def read(data_dir: Path) -> AuditRecord | None:
    """The latest record, None when nothing was audited yet."""
    found = history(data_dir)
    return found[-1] if found else None


def history(data_dir: Path) -> list[AuditRecord]:
    """The kept records, the oldest first; lines that are no records are left out."""
    try:
        lines = (data_dir / _FILE).read_text().splitlines()
    except (OSError, ValueError):
        return []
    return [record for line in lines if (record := _record(line)) is not None]


def _record(line: str) -> AuditRecord | None:
    try:
        return AuditRecord(**json.loads(line))
    except (ValueError, TypeError):
        return None
