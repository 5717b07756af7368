"""Decides whether the spool may grow, by its size and the free disk space."""

import os
import time
from pathlib import Path

from spanledger.ingest import spool

_LOOK_EVERY_S = 0.2


class Room:
    """Looks at the disk at most five times a second and counts what was admitted since."""

    def __init__(self, data_dir: Path, max_bytes: int, min_free_bytes: int) -> None:
        self._data_dir = data_dir
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._looked = -1e9
        self._used = self._free = 0

    def admit(self, size: int) -> None:
        """Reserves `size` bytes of the spool. Raises SpoolFull."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._look()
        if self._used + size > self._max_bytes:
            raise spool.SpoolFull(f"the spool is full ({self._used} of {self._max_bytes} bytes); ClickHouse is behind")
        if self._free - size < self._min_free_bytes:
            raise spool.SpoolFull(f"the disk is nearly full ({self._free} bytes left)", retry_after=30)
        self._used += size
        self._free -= size

    def _look(self) -> None:
        try:
            self._used = spool.size_on_disk(self._data_dir)
            stats = os.statvfs(self._data_dir)
        except OSError as exc:
            raise spool.SpoolFull(f"the spool cannot be read: {exc.strerror}") from exc
        self._free = stats.f_bavail * stats.f_frsize
        self._looked = time.monotonic()
