"""The program of the process in which a person's SQL runs: an engine with the rows that it is given, and nothing else.

Speaks frames on standard input and output: four bytes of length, JSON, and after an answer with `size` that many bytes.
Imports the standard library and chdb only. It ends when its owner ends, when nobody asks for a while, and by a timer
of the kernel when a request takes longer than its owner allows.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import struct
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

_GIB = 1024**3
_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 4096,
    resource.RLIMIT_FSIZE: 4 * _GIB,
}
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH, _O_PATH = 1, 0o10000000
# Landlock's rights on files: execute, read a file and list a folder; the others make or change something.
_READ = 0b1101
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals of other processes


def main() -> None:
    scratch, idle_s = Path(sys.argv[1]), float(sys.argv[2])
    requests, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # whatever a library prints is no answer
    fence(scratch)
    engine = Engine(scratch)
    _send(answers, {"ok": True})
    try:
        serve(engine, requests, answers, idle_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)


def serve(engine: "Engine", requests: BinaryIO, answers: BinaryIO, idle_s: float) -> None:
    """Answers one request after the other, until the owner closes its end or is silent for so long."""
    while select.select([requests], [], [], idle_s)[0]:
        request = _receive(requests)
        if request is None:
            return
        done = threading.Event()
        threading.Thread(target=_end_with_owner, args=(requests, done), daemon=True).start()
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # SIGALRM ends the process
        try:
            body = engine.answer(request)
        except Exception as exc:  # noqa: BLE001 — every error is the answer to its request
            signal.setitimer(signal.ITIMER_REAL, 0)
            done.set()
            _send(answers, {"ok": False, "error": str(exc)})
            continue
        signal.setitimer(signal.ITIMER_REAL, 0)
        done.set()
        _send(answers, {"ok": True, "size": len(body)})
        _write(answers, body)


def _end_with_owner(requests: BinaryIO, done: threading.Event) -> None:
    """While a request runs: ends the process when its owner has gone. The owner sends nothing meanwhile."""
    poll = select.poll()
    poll.register(requests, select.POLLHUP)
    while not done.is_set():
        if poll.poll(100) and not done.is_set():
            os.kill(os.getpid(), signal.SIGKILL)


class Engine:
    """An engine in a folder of its own: `define` is for its owner, `parse` and `run` are for people's statements."""

    def __init__(self, scratch: Path) -> None:
        import chdb

        self._connect = chdb.connect
        self._path = str(scratch / "engine")
        self._owner = self._connect(self._path)
        self._settings: list[str] = []
        self._database = "default"
        self._reader: Any = None

    def answer(self, request: dict[str, Any]) -> bytes:
        match request["do"]:
            case "begin":
                self._settings, self._database = request["settings"], request["database"]
                self._owner.query(f"CREATE DATABASE IF NOT EXISTS `{self._database}`")
            case "define":
                for statement in request["statements"]:
                    self._owner.query(statement)
            case "parse":
                return self._read(f"EXPLAIN AST {request['sql']}", "TSVRaw", 0)
            case "run":
                return self._read(request["sql"], request["format"], request["most"])
        return b""

    def _read(self, sql: str, fmt: str, most: int) -> bytes:
        """`most`: bytes of an answer; 0: any number."""
        reader = self._reading()
        try:
            body = bytes(reader.query(f"{sql}\nFORMAT {fmt}", fmt).bytes())
        except BaseException:
            self._reader = None  # the next answer of a handle that failed would begin with what this one had written
            reader.close()
            raise
        if most and len(body) > most:
            raise ValueError(f"Code: 396. the answer has {len(body)} bytes (TOO_MANY_ROWS_OR_BYTES)")
        return body

    def _reading(self) -> Any:
        if self._reader is None:
            reader = self._connect(self._path)
            reader.query(f"USE `{self._database}`")
            for setting in self._settings:
                reader.query(f"SET {setting}")
            self._reader = reader
        return self._reader


def fence(scratch: Path) -> None:
    """Gives up what a statement must not reach, for good. Without Landlock the rules of `inspection` stand alone."""
    for limit, value in _LIMITS.items():
        most = resource.getrlimit(limit)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))
    os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
    _landlock(scratch)


def _landlock(scratch: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return
    rights = next(rights for least, rights in sorted(_RIGHTS_BY_VERSION.items(), reverse=True) if version >= least)
    tcp = _TCP if version >= 4 else 0
    scopes = _SCOPES if version >= 6 else 0
    attributes = struct.pack("=QQQ", rights, tcp, scopes)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return
    try:
        for path, allowed in _paths(scratch, rights):
            _allow(libc, rules, path, allowed)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            libc.syscall(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _paths(scratch: Path, rights: int) -> list[tuple[str, int]]:
    programs = {"/usr", "/lib", "/lib64", "/bin", sys.prefix, sys.base_prefix, *(p for p in sys.path if p)}
    system = {"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/sys/fs/cgroup", "/sys/devices/system"}
    devices = {"/dev/null", "/dev/urandom", "/dev/zero"}
    files = {"/etc/localtime", "/etc/ld.so.cache"}
    reading = [(path, _READ) for path in sorted(programs | system | devices | files)]
    return [*reading, (str(scratch), rights), ("/dev/null", _READ | 0b10)]


def _allow(libc: Any, rules: int, path: str, allowed: int) -> None:
    try:
        fd = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        # On a file only the rights to execute, write, read and truncate exist.
        allowed = allowed if os.path.isdir(path) else allowed & 0b111
        libc.syscall(_ADD_RULE, rules, _RULE_PATH, struct.pack("=Qi", allowed, fd), 0)
    finally:
        os.close(fd)


def _receive(requests: BinaryIO) -> dict[str, Any] | None:
    head = _exactly(requests, 4)
    if head is None:
        return None
    body = _exactly(requests, struct.unpack(">I", head)[0])
    return None if body is None else json.loads(body)


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    read = bytearray()
    while len(read) < count:
        piece = stream.read(count - len(read))
        if not piece:
            return None
        read += piece
    return bytes(read)


def _send(answers: BinaryIO, header: dict[str, Any]) -> None:
    body = json.dumps(header).encode()
    _write(answers, struct.pack(">I", len(body)) + body)


def _write(stream: BinaryIO, body: bytes) -> None:
    rest = memoryview(body)
    while rest:
        rest = rest[stream.write(rest) :]


if __name__ == "__main__":
    main()
