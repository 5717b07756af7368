"""The process of `engine` as its owner sees it: started, queried, killed."""

import contextlib
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import spanledger

START_SECONDS = 60.0
MAX_RESIDENT = 2 * 1024**3
_TICK_S = 0.05
_END_S = 5.0
IDLE_S = 60.0  # then it ends by itself
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ChildError(Exception):
    """The engine's own words, for the log; `reason`: timeout, memory, cancelled, gone or idle when there are none.

    Idle: the process had ended by itself, as it does when nobody asks for a while, before it took the request.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Child:
    """One process and its folder. Not thread-safe. After a ChildError with a reason it is dead."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="spanledger-sql-"))
        root = str(Path(spanledger.__file__).parents[1])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "spanledger.stats.sandbox.engine", str(self.scratch), str(idle_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.scratch,
            start_new_session=True,  # a Ctrl-C is for its owner
            env={"PYTHONPATH": root, "HOME": str(self.scratch), "TMPDIR": str(self.scratch), "LC_ALL": "C.UTF-8"},
        )
        try:
            self._answer(START_SECONDS, threading.Event())
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, seconds: float, cancelled: threading.Event, **request: Any) -> bytes:
        """The body of the answer. Raises ChildError; the process is killed when it takes longer, or on `cancelled`."""
        body = json.dumps({**request, "seconds": seconds + 1}).encode()
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(struct.pack(">I", len(body)) + body)
            self._process.stdin.flush()
            header, answer = self._answer(seconds, cancelled)
        except OSError as exc:
            raise ChildError(str(exc), self._ended()) from exc
        except BaseException:
            self.kill()
            raise
        if not header["ok"]:
            raise ChildError(header["error"])
        return answer

    def kill(self) -> None:
        """At once; what it had written is removed."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _ended(self) -> str:
        """How a process ended that has closed its pipes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        reason = "idle" if self._process.returncode == 0 else "gone"
        self.kill()
        return reason

    def _answer(self, seconds: float, cancelled: threading.Event) -> tuple[dict[str, Any], bytes]:
        deadline = time.monotonic() + seconds
        header = json.loads(self._read(struct.unpack(">I", self._read(4, deadline, cancelled))[0], deadline, cancelled))
        return header, self._read(header.get("size", 0), deadline, cancelled)

    def _read(self, count: int, deadline: float, cancelled: threading.Event) -> bytes:
        assert self._process.stdout is not None
        descriptor, read = self._process.stdout.fileno(), bytearray()
        while len(read) < count:
            while not select.select([descriptor], [], [], _TICK_S)[0]:
                self._check(deadline, cancelled)
            piece = os.read(descriptor, min(count - len(read), 1024**2))
            if not piece:
                raise ChildError("the process ended", self._ended())
            read += piece
        return bytes(read)

    def _check(self, deadline: float, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            raise ChildError("cancelled", "cancelled")
        if time.monotonic() > deadline:
            raise ChildError("out of time", "timeout")
        if self.resident > MAX_RESIDENT:
            raise ChildError("out of memory", "memory")

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0
