"""Verifies segments that an earlier process left or that are old, and sets damaged records aside."""

import fcntl
import logging
import os
import time
from pathlib import Path

from spanledger.ingest import dead, records
from spanledger.ingest.signals import SIGNALS
from spanledger.ingest.spool import DRAFT, OPEN, READY, Segment, folder

_TRUSTED_S = 60.0  # what this very system wrote so short a time ago is still in memory, not on a disk that could err

log = logging.getLogger(__name__)


def adopt(data_dir: Path, writer: str = "") -> None:
    """Completes the open segments that dead writers left (those of one writer, when named).

    A segment that cannot be completed now, on a full disk say, stays for the next start.
    """
    for signal in SIGNALS:
        for path in sorted(folder(data_dir, signal).glob(f"{writer}*{OPEN}")):
            try:
                _adopt(data_dir, signal, path)
            except OSError as exc:
                log.error("the spool segment %s waits for the next start: %s", path.name, exc)


def clear_drafts(data_dir: Path) -> None:
    """Removes what a killed process was in the middle of writing; their originals are still there."""
    for signal in SIGNALS:
        for path in folder(data_dir, signal).glob(f"*{DRAFT}"):
            path.unlink(missing_ok=True)


def intact(data_dir: Path, segment: Segment) -> bool:
    """Sees to it that a segment holds nothing damaged; False when nothing is left to load. Raises OSError."""
    age_s = time.time() - segment.oldest_ms / 1000
    if not segment.inherited and 0 <= age_s < _TRUSTED_S:
        return True
    return mend(data_dir, segment.signal, segment.path)


def mend(data_dir: Path, signal: str, path: Path, into: Path | None = None) -> bool:
    """Leaves in `into` (or in place) the intact records of a segment and sets the rest aside; False when none is left.

    Raises OSError.
    """
    target = into or path
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # deleted by hand
        return False
    found = records.scan(data)
    for start, length in found.damaged:
        log.warning("%s: %d bytes from %d on are torn or damaged and set aside", path.name, length, start)
        dead.bury(data_dir, signal, f"{path.stem}-{start}", data[start : start + length], dead.DAMAGED)
    if not found.records:
        path.unlink()
        return False
    if found.damaged:
        _write(target, [data[start : start + length] for start, length in found.records])
        if target != path:
            path.unlink()
    elif target != path:
        path.rename(target)
    return True


def _adopt(data_dir: Path, signal: str, path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits until the writer is really gone
        mend(data_dir, signal, path, path.with_suffix(READY))


def _write(target: Path, parts: list[bytes]) -> None:
    draft = target.with_suffix(DRAFT)
    with draft.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fdatasync(file.fileno())
    draft.replace(target)
