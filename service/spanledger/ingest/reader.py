"""Starts the process that reads heavy bodies (reader_process.py), sends it bodies, and replaces it when it ends.

One C call that parses some megabytes of JSON holds the interpreter's lock for most of a second, and the event loop of
the door worker cannot answer meanwhile. The process starts with the first heavy body, ends after a minute without one,
and is killed when a body takes longer than 120 s.
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

from spanledger.ingest.answers import Answer, Encoding
from spanledger.ingest.bodies import Ready
from spanledger.ingest.signals import Signal

_MOST_S = 120.0  # by the clock, for one body
_ATTEMPTS = 2  # the kernel may have killed the process for another reason
_TOO_COSTLY = Answer(413, "the body takes too much time or memory to be read; send smaller batches")


class Reader:
    """One thread at a time may call `read`, any thread `close`. `arguments`: those of reader_process.py."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "spanledger.ingest.reader_process", *arguments]
        self._running: tuple[subprocess.Popen[bytes], Connection] | None = None
        self._guard = threading.Lock()
        self._is_closed = False
        self._cpu_s = 0.0

    def read(
        self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str, is_ours: bool = False
    ) -> Ready | Answer:
        """As `Bodies.read`; 413 also when the process ends twice on this body or takes too long."""
        for _ in range(_ATTEMPTS):
            try:
                _, connection = self._process()
                connection.send((signal.name, body, encoding, content_encoding, is_ours))
                if connection.poll(_MOST_S):
                    return self._taken(connection.recv())
            except (OSError, EOFError):
                self._end()
            else:
                self._cpu_s += _MOST_S
                self._end()
                break
        return _TOO_COSTLY

    def cpu_s(self) -> float:
        """CPU seconds of the process for all bodies."""
        return self._cpu_s

    def pid(self) -> int:
        """0 while there is no process."""
        return self._running[0].pid if self._running is not None else 0

    def close(self) -> None:
        """Ends the process; later calls of `read` return 413."""
        self._is_closed = True
        self._end()

    def _taken(self, answered: tuple[float, Ready | Answer]) -> Ready | Answer:
        seconds, finding = answered
        self._cpu_s += seconds
        return finding

    def _process(self) -> "tuple[subprocess.Popen[bytes], Connection]":
        with self._guard:
            if self._is_closed:
                raise EOFError
            if self._running is not None and self._running[0].poll() is None:
                return self._running
        self._end()
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            process = subprocess.Popen([*self._command, str(fd)], stdin=subprocess.DEVNULL, pass_fds=[fd])
        with self._guard:
            self._running = process, Connection(ours.detach())
            return self._running

    def _end(self) -> None:
        with self._guard:
            running, self._running = self._running, None
        if running is not None:
            process, connection = running
            process.kill()
            with contextlib.suppress(OSError):
                connection.close()
            process.wait()
