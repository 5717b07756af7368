"""The spool: segments on disk that hold everything acknowledged and not yet loaded.

`<data_dir>/spool/<signal>/<writer>-<number>.open`   one writer appends to it, holding a lock
`<data_dir>/spool/<signal>/<writer>-<number>.ready`  complete; deleted once ClickHouse has it
`<data_dir>/spool/<signal>/*.part`                   a copy in the making; what it is made from is still there
`<data_dir>/spool/<signal>/inflight[-1].json`        the batches being loaded, for recovery
`<data_dir>/spool/dead/`                             what cannot be loaded, see `dead`
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from spanledger.errors import StoreBusy
from spanledger.ingest import records
from spanledger.ingest.signals import SIGNALS

SEGMENT_BYTES = 8 * 1024 * 1024  # a segment of this size is closed at once
OPEN, READY, DRAFT = ".open", ".ready", ".part"


class SpoolFull(Exception):
    """The spool refuses a record: over its bound, or the disk is full. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Segment:
    """A complete segment. `oldest_ms` is when its first record was received (Unix time).

    `inherited`: found on disk; how many items are in it is not known then (0).
    """

    path: Path
    signal: str
    size: int
    items: int
    oldest_ms: int
    inherited: bool = False


def folder(data_dir: Path, signal: str) -> Path:
    return data_dir / "spool" / signal


def prepare(data_dir: Path) -> None:
    """Creates the spool's folders."""
    for signal in SIGNALS:
        folder(data_dir, signal).mkdir(parents=True, exist_ok=True)
    (data_dir / "spool" / "dead").mkdir(exist_ok=True)


def own(data_dir: Path) -> TextIO:
    """Makes this process the only one that loads the spool, until the file is closed. Raises StoreBusy, OSError."""
    prepare(data_dir)
    lock = (data_dir / "spool" / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise StoreBusy(
            f"another process receives and loads in {data_dir}; stop it, or give another --data-dir"
        ) from exc
    return lock


def size_on_disk(data_dir: Path) -> int:
    """Bytes of all segments, open ones included."""
    total = 0
    for signal in SIGNALS:
        try:
            with os.scandir(folder(data_dir, signal)) as entries:
                for entry in entries:
                    if entry.name.endswith((OPEN, READY)):
                        total += _size(entry)
        except FileNotFoundError:
            continue
    return total


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # loaded in between
        return 0


class _OpenSegment:
    """A segment that is being written; its lock tells a later process that its writer still lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.size = self.items = 0
        self.opened = time.monotonic()
        self.oldest_ms = 0

    def append(self, buffers: list[bytes], items: int, received_at_ms: int) -> None:
        """Writes a whole record or nothing. Raises OSError."""
        length = sum(map(len, buffers))
        try:
            written = os.writev(self.fd, buffers)
            if written != length:
                self._write_rest(b"".join(buffers)[written:])
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        self.size += length
        self.items += items
        self.oldest_ms = self.oldest_ms or received_at_ms

    def _write_rest(self, rest: bytes) -> None:
        while rest:
            rest = rest[os.write(self.fd, rest) :]


class Writer:
    """Appends records. Not thread-safe: each process has one, used by one thread.

    `on_ready` is called with every complete segment, `on_open` with the signal of every new one.
    """

    def __init__(
        self,
        data_dir: Path,
        durable: bool,
        on_ready: Callable[[Segment], None],
        on_open: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._data_dir = data_dir
        self._durable = durable
        self._on_ready = on_ready
        self._on_open = on_open
        self._name = f"{time.time_ns() // 1_000_000:012x}-{os.getpid()}-{secrets.token_hex(3)}"
        self._number = 0
        self._open: dict[str, _OpenSegment] = {}

    @property
    def name(self) -> str:
        """Part of every segment name of this writer, unique for ever."""
        return self._name

    def append(self, signal: str, body: bytes, tenant: str, items: int) -> None:
        """Stores a body; when this returns, `kill -9` cannot lose it. With `durable`, call `sync` before acknowledging.

        Raises SpoolFull when the disk does not take it; nothing is stored then.
        """
        now_ms = time.time_ns() // 1_000_000
        try:
            segment = self._open.get(signal) or self._begin(signal)
            segment.append(records.frame(body, now_ms, tenant), items, now_ms)
        except OSError as exc:
            raise SpoolFull(f"the spool cannot be written: {exc.strerror}") from exc
        if segment.size >= SEGMENT_BYTES:
            with contextlib.suppress(OSError):  # the record is stored; the next finish reports the error
                self.finish(signal)

    def duplicate(self, signal: str) -> int | None:
        """A descriptor of the open segment, to sync and close elsewhere; None when all is complete (and synced)."""
        segment = self._open.get(signal)
        return None if segment is None else os.dup(segment.fd)

    def finish(self, signal: str) -> bool:
        """Completes the open segment; False when there is none. Raises OSError; it stays open then."""
        segment = self._open.get(signal)
        if segment is None:
            return False
        if self._durable:
            os.fdatasync(segment.fd)
        ready = segment.path.with_suffix(READY)
        segment.path.rename(ready)
        del self._open[signal]
        os.close(segment.fd)
        self._on_ready(Segment(ready, signal, segment.size, segment.items, segment.oldest_ms))
        return True

    def age_seconds(self, signal: str) -> float | None:
        """How long the open segment has been open; None when there is none."""
        segment = self._open.get(signal)
        return None if segment is None else time.monotonic() - segment.opened

    def close(self) -> None:
        for signal in list(self._open):
            self.finish(signal)

    def _begin(self, signal: str) -> _OpenSegment:
        self._number += 1
        path = folder(self._data_dir, signal) / f"{self._name}-{self._number:08d}{OPEN}"
        segment = self._open[signal] = _OpenSegment(path)
        if self._durable:
            sync_folder(path.parent)
        self._on_open(signal)
        return segment


def sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def ready_segments(data_dir: Path) -> Iterator[Segment]:
    """What waits to be loaded, oldest first."""
    for signal in SIGNALS:
        for path in sorted(folder(data_dir, signal).glob(f"*{READY}")):
            try:
                status = path.stat()
            except FileNotFoundError:  # loaded in between
                continue
            yield Segment(path, signal, status.st_size, 0, int(status.st_mtime * 1000), inherited=True)
