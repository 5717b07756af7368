"""Foreign patterns, schemas and files, tried in a process that is killed when it takes too long or too much.

A thread could not be stopped, and a stuck one would hold the interpreter's lock. Two processes at most are kept for
patterns and schemas, and one for files; each ends by itself after a minute without a job.
"""

import asyncio
import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATTERN_S = 0.5  # of one search
_JOB_S = 2.0  # of one job; then the process is killed
_START_S = 20.0  # until a new process has answered for the first time, on a busy machine
_WAIT_S = 10.0  # for a process that is free
_PROCESSES = 2
FILE_S = 20.0  # of one file
_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ")  # of the environment: no keys


class Hopeless(Exception):
    """The job was given up: it took too long or too much memory, or too many others wait."""


class Pool:
    """Thread-safe."""

    def __init__(self, processes: int = _PROCESSES, wait_s: float = _WAIT_S) -> None:
        self._free = threading.Semaphore(processes)
        self._wait_s = wait_s
        self._guard = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(processes * 2, thread_name_prefix="foreign")

    def run(self, job: Mapping[str, Any], limit_s: float = _JOB_S) -> dict[str, Any]:
        """The answer of `checks.answer`. Raises Hopeless. Blocks; see `arun`."""
        if not self._free.acquire(timeout=self._wait_s):
            raise Hopeless("too many checks wait")
        try:
            return self._run(json.dumps(job).encode() + b"\n", limit_s)
        finally:
            self._free.release()

    async def arun(self, job: Mapping[str, Any], limit_s: float = _JOB_S) -> dict[str, Any]:
        """The same on a thread of the pool's own."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.run, job, limit_s)

    def close(self) -> None:
        with self._guard:
            for process in self._idle:
                _end(process)
            self._idle.clear()

    def _run(self, line: bytes, limit_s: float) -> dict[str, Any]:
        process = self._take()
        try:
            reply = _ask(process, line, limit_s)
        except (OSError, ValueError, Hopeless) as exc:
            _end(process)
            raise Hopeless("it took too long or too much memory") from exc
        except BaseException:
            _end(process)
            raise
        with self._guard:
            self._idle.append(process)
        return reply

    def _take(self) -> "subprocess.Popen[bytes]":
        while True:
            with self._guard:
                process = self._idle.pop() if self._idle else None
            if process is None:
                break
            with contextlib.suppress(OSError, ValueError, Hopeless):
                _ask(process, _HELLO, _JOB_S)
                return process
            _end(process)  # it had nothing to do for long
        process = subprocess.Popen(
            [sys.executable, "-m", "spanledger.foreign.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        try:
            _ask(process, _HELLO, _START_S)
        except (OSError, ValueError) as exc:
            _end(process)
            raise Hopeless("the checking process did not start") from exc
        except Hopeless:
            _end(process)
            raise
        return process


_HELLO = b'{"kind": "pattern", "pattern": "a"}\n'


def _ask(process: "subprocess.Popen[bytes]", line: bytes, limit_s: float) -> dict[str, Any]:
    """One job and its answer. Raises Hopeless, OSError, ValueError."""
    assert process.stdin is not None
    assert process.stdout is not None
    deadline, stdin, stdout = time.monotonic() + limit_s, process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    rest, heard = memoryview(line), b""
    while not heard.endswith(b"\n"):
        left = deadline - time.monotonic()
        ready = select.select([stdout], [stdin] if rest else [], [], max(0.0, left))
        if left <= 0 or not (ready[0] or ready[1]):
            raise Hopeless("it takes too long")
        if ready[1]:
            rest = rest[os.write(stdin, rest[:65536]) :]
        if ready[0]:
            part = os.read(stdout, 65536)
            if not part:
                raise Hopeless("the process is gone")
            heard += part
    reply: dict[str, Any] = json.loads(heard)
    return reply


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


pool = Pool()
file_pool = Pool(1, wait_s=30.0)
atexit.register(pool.close)
atexit.register(file_pool.close)
