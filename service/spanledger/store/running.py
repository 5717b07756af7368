"""Ownership of a data folder: one process at a time, which writes to `run.json` how it can be reached."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

from spanledger.errors import StoreBusy, StoreError

_LOCK, _INFO, _WRITING = "lock", "run.json", "writing"


def lock_folder(data_dir: Path) -> TextIO:
    """Creates the folder and makes this process its owner until the file is closed.

    Raises StoreBusy when another process owns it, StoreError when it cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / _LOCK).open("a+")
    except OSError as exc:
        raise StoreError(f"data folder {data_dir} cannot be used: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise StoreBusy(
            f"data folder {data_dir} is in use by process {owner}; stop it or choose another --data-dir"
        ) from exc
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def announce(data_dir: Path, info: dict[str, Any]) -> None:
    """Says how the owner of the folder can be reached."""
    draft = data_dir / f"{_INFO}.new"
    draft.write_text(json.dumps(info))
    draft.replace(data_dir / _INFO)


def withdraw(data_dir: Path) -> None:
    """Takes the announcement back, also one that a killed owner left."""
    (data_dir / _INFO).unlink(missing_ok=True)


def running_instance(data_dir: Path) -> dict[str, Any] | None:
    """What the owner of the folder announced (`api_url`, `pid`, …), or None: no owner, or not announced yet."""
    try:
        lock = (data_dir / _LOCK).open("r")
    except OSError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except OSError:
            pass
    try:
        info: dict[str, Any] = json.loads((data_dir / _INFO).read_text())
        return info
    except (OSError, ValueError):
        return None


def begin(data_dir: Path) -> bool:
    """Notes that the owner of the folder starts to write; False when the one before did not come to `finish`."""
    marker = data_dir / _WRITING
    clean = not marker.exists()
    marker.touch()
    return clean


def finish(data_dir: Path) -> None:
    """Notes that the owner has written everything."""
    (data_dir / _WRITING).unlink(missing_ok=True)
