"""What the endpoint did not take waits here on disk until it does: bounded, the oldest first, across restarts too."""

import contextlib
import fcntl
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

SUFFIX = ".pb"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
AGAIN = frozenset({408, 429, 502, 503, 504})  # of OTLP: to be repeated; any other refusal is final

_log = logging.getLogger(__name__)

Lost = Callable[[str, int], None]  # signal, items


@dataclass(frozen=True)
class Outbox:
    """Where exports wait: `folder`, at most `max_bytes` of it. One process uses a folder at a time."""

    folder: Path
    max_bytes: int


class Resender:
    """Keeps exports and sends them again on a thread of its own. Thread-safe, never raises; `lost` hears of drops.

    A file is `<time>-<number>-<items>.<signal>.pb`: one OTLP request body.
    """

    def __init__(self, outbox: Outbox, endpoint: str, headers: Mapping[str, str], timeout_s: float, lost: Lost) -> None:
        self._outbox = outbox
        self._lost = lost
        self._client = httpx.Client(base_url=endpoint, headers=dict(headers), timeout=timeout_s)
        self._changed = threading.Condition()
        self._waiting: dict[Path, int] = {}  # size by file, in the order of their names
        self._numbers = itertools.count()
        self._stopping = False
        self._usable = self._take_folder()
        self._thread = threading.Thread(target=self._run, name="telemetry-outbox", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        with self._changed:
            return sum(self._waiting.values())

    def keep(self, signal: str, body: bytes, items: int) -> bool:
        """Whether it is on disk now and will be sent; if not, nothing of it is."""
        with self._changed:
            if not self._usable or self.waiting + len(body) > self._outbox.max_bytes:
                return False
            name = f"{time.time_ns():020d}-{next(self._numbers):06d}-{items}.{signal}{SUFFIX}"
            path = self._outbox.folder / name
            draft = path.with_suffix(".new")
            try:
                draft.write_bytes(body)
                draft.replace(path)
            except OSError as exc:
                draft.unlink(missing_ok=True)
                _log.warning("telemetry cannot be kept on disk: %s", exc)
                return False
            self._waiting[path] = len(body)
            self._changed.notify_all()
            return True

    def close(self, timeout_s: float) -> None:
        """Sends what it can in that time; the rest waits for the next start."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._client.close()
        if self._usable:
            self._lock.close()

    def _take_folder(self) -> bool:
        """Finds what an earlier process left; False when the folder cannot be used, or another process uses it."""
        folder = self._outbox.folder
        with contextlib.ExitStack() as opened:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = opened.enter_context((folder / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._waiting = {path: path.stat().st_size for path in sorted(folder.glob(f"*{SUFFIX}"))}
            except OSError as exc:
                _log.warning("what the endpoint does not take will be dropped, not kept in %s: %s", folder, exc)
                return False
            self._lock = opened.pop_all()
        return True

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while (path := self._next()) is not None:
            if self._send(path):
                pause = _FIRST_PAUSE_S
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _next(self) -> Path | None:
        """The oldest file; None when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or bool(self._waiting))
            return None if self._stopping else next(iter(self._waiting))

    def _send(self, path: Path) -> bool:
        """Whether the file is done with: taken, or refused for good."""
        items, signal = path.name.removesuffix(SUFFIX).rpartition("-")[2].split(".")
        try:
            answer = self._client.post(
                f"/v1/{signal}", content=path.read_bytes(), headers={"Content-Type": "application/x-protobuf"}
            )
        except httpx.HTTPError:
            return False
        except OSError as exc:
            _log.warning("kept telemetry cannot be read: %s", exc)
            self._done(path, signal, int(items))
            return True
        if answer.status_code in AGAIN:
            return False
        self._done(path, signal, 0 if answer.is_success else int(items))
        return True

    def _done(self, path: Path, signal: str, lost: int) -> None:
        with contextlib.suppress(OSError):  # at worst it is sent again by the next process
            path.unlink(missing_ok=True)
        if lost:
            self._lost(signal, lost)
        with self._changed:
            del self._waiting[path]
            self._changed.notify_all()
