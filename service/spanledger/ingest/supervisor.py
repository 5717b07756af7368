"""The parent's side of the door: binds the ports, starts the workers, restarts those that die."""

import contextlib
import json
import logging
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spanledger.errors import SettingsError
from spanledger.ingest import salvage, spool
from spanledger.ingest.worker_config import Config
from spanledger.settings import Settings

_START_TIMEOUT_S = 30.0
_RESTART_PAUSE_S = 0.5

log = logging.getLogger(__name__)


@dataclass
class _Process:
    popen: "subprocess.Popen[bytes]"
    control: socket.socket
    started: float
    writer: str = ""
    buffer: bytes = b""
    counts: dict[str, Any] = field(default_factory=dict)
    up: bool = False
    gone: bool = False  # its control socket has ended
    flushed: int = 0  # the number of the last flush that it reported


class Supervisor:
    """Thread-safe. `on_segment` is called, on a thread of its own, for every segment that a worker completed."""

    def __init__(self, settings: Settings, workers: int, on_segment: Callable[[spool.Segment], None]) -> None:
        self._settings = settings
        # The engine's library changes the working directory of the whole process while it is loaded, which may be just
        # when a worker starts.
        self._data_dir, self._folder = settings.data_dir.resolve(), Path.cwd()
        self._on_segment = on_segment
        self._count = workers
        self._processes: list[_Process] = []
        self._past: list[dict[str, Any]] = []  # the last counts of workers that are gone
        self._wanted: set[str] = set()
        self._guard = threading.RLock()
        self._changed = threading.Condition(self._guard)
        self._flushes = 0
        self._stopping = threading.Event()
        self._all_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._selector = selectors.DefaultSelector()  # one for good: a new one would need a file of its own
        self.restarts = 0
        self._listeners: list[socket.socket] = []
        self.endpoint = ""

    def start(self) -> None:
        """Binds the ports and starts the workers. Raises SettingsError for a port that cannot be had."""
        try:
            self._bind()
        except SettingsError:
            self._unbind()
            raise
        self._thread = threading.Thread(target=self._watch, name="ingest-supervisor", daemon=True)
        self._thread.start()

    def wait_up(self) -> None:
        """Returns when every listener accepts. Raises SettingsError when they do not."""
        if not self._all_up.wait(_START_TIMEOUT_S):
            self.stop(1.0)
            raise SettingsError("the OTLP listeners did not start; see the log above")

    def _bind(self) -> None:
        host = self._settings.host
        http_host = host if self._settings.otlp_http_port else "127.0.0.1"
        listener = _listen(http_host, self._settings.otlp_http_port, "otlp-http-port")
        self._listeners.append(listener)
        self.endpoint = _url(http_host, listener.getsockname()[1])
        if self._settings.otlp_grpc_port:
            self._listeners.append(_listen(host, self._settings.otlp_grpc_port, "otlp-grpc-port"))

    def _unbind(self) -> None:
        for listener in self._listeners:
            listener.close()

    def want(self, signal: str) -> None:
        """Asks the workers to complete a segment of a signal as soon as they have something."""
        with self._guard:
            self._wanted.add(signal)
            for process in self._processes:
                self._tell(process, f"want {signal}")

    def flush(self, timeout: float) -> bool:
        """Returns when `on_segment` was called for everything acknowledged before; False when that takes longer."""
        with self._changed:
            self._flushes += 1
            number = self._flushes
            for process in self._processes:
                self._tell(process, f"flush {number}")
            return self._changed.wait_for(lambda: all(p.flushed >= number for p in self._processes), timeout)

    def stop(self, timeout: float) -> None:
        """Stops accepting, lets running requests finish, waits for the workers' last segments."""
        self._stopping.set()
        with self._guard:
            for process in self._processes:
                self._tell(process, "stop")
        if self._thread is not None:
            self._thread.join(timeout)
        for process in self._processes:
            if process.popen.poll() is None:
                process.popen.kill()
        if self._thread is not None:
            self._thread.join(5.0)
            if not self._thread.is_alive():
                self._selector.close()
        self._unbind()

    @property
    def alive(self) -> int:
        """How many workers accept."""
        with self._guard:
            return sum(process.up and process.popen.poll() is None for process in self._processes)

    def pids(self) -> list[int]:
        """The processes of the workers that accept."""
        with self._guard:
            return [process.popen.pid for process in self._processes if process.up]

    def counts(self) -> dict[str, Any]:
        """Sums over all workers, gone ones included."""
        total: dict[str, Any] = {
            "answers": Counter(),
            "senders": Counter(),
            "accepted": Counter(),
            "rejected": Counter(),
            "masked": Counter(),
            "bytes": 0,
        }
        with self._guard:
            reports = [*self._past, *(process.counts for process in self._processes)]
        for report in reports:
            for name in ("answers", "senders", "accepted", "rejected", "masked"):
                total[name].update(report.get(name, {}))
            total["bytes"] += report.get("bytes", 0)
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in total.items()}

    def _tell(self, process: _Process, line: str) -> None:
        with contextlib.suppress(OSError):  # it is dying; the watcher will see
            process.control.sendall(line.encode() + b"\n")

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        settings = self._settings
        config = Config(
            parent_pid=os.getpid(),
            control_fd=theirs.fileno(),
            listener_fds=[listener.fileno() for listener in self._listeners],
            grpc=bool(settings.otlp_grpc_port),
            data_dir=str(self._data_dir),
            durable=settings.durability == "fsync",
            max_body_bytes=settings.max_body_bytes,
            spool_max_bytes=settings.spool_max_bytes,
            min_free_bytes=settings.min_free_bytes,
            require_keys=settings.needs_keys,
            masks=settings.masks,
            mask_rules=settings.mask_rules,
            cors_origin=settings.otlp_cors_origin,
            host=settings.host,
            allowed_hosts=settings.allowed_hosts,
            quota={
                "requests_per_s": settings.sender_requests_per_s,
                "bytes_per_s": settings.sender_bytes_per_s,
                "concurrent": settings.sender_concurrent_requests,
            },
        )
        try:
            popen = subprocess.Popen(
                [sys.executable, "-m", "spanledger.ingest.worker", json.dumps(asdict(config))],
                pass_fds=[config.control_fd, *config.listener_fds],
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        with self._guard:
            process = _Process(popen, ours, time.monotonic(), flushed=self._flushes)
            self._selector.register(ours, selectors.EVENT_READ, process)
            self._processes.append(process)

    def _watch(self) -> None:
        """The supervisor's thread; it also starts the workers, for the kernel ends them with the thread that did.

        It outlives every error: without it no worker would be replaced, and no segment loaded.
        """
        while True:
            try:
                if not self._step():
                    return
            except Exception:
                log.exception("the supervisor of the OTLP workers met an error; it goes on")
                self._stopping.wait(_RESTART_PAUSE_S)

    def _step(self) -> bool:
        """One round of starting, listening and burying; False when all workers are gone and none is wanted."""
        for process in [process for process in self._processes if process.gone]:
            self._bury(process)
        if not self._stopping.is_set():
            while len(self._processes) < self._count:
                self._spawn()
        if not self._processes:
            return False
        for key, _ in self._selector.select(1.0):
            self._hear(key.data)
        return True

    def _hear(self, process: _Process) -> None:
        try:
            data = process.control.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(process.control)
            process.control.close()
            process.up, process.gone = False, True
            return
        *lines, process.buffer = (process.buffer + data).split(b"\n")
        for line in lines:
            self._understand(process, json.loads(line))

    def _understand(self, process: _Process, message: dict[str, Any]) -> None:
        if "up" in message:
            with self._guard:
                process.up, process.writer = True, message["writer"]
                for signal in self._wanted:
                    self._tell(process, f"want {signal}")
                if sum(p.up for p in self._processes) == self._count:
                    self._all_up.set()
        if "counts" in message:
            process.counts = message["counts"]
        if "segment" in message:
            fields = message["segment"]
            segment = spool.Segment(**(fields | {"path": Path(fields["path"])}))
            with self._guard:
                self._wanted.discard(segment.signal)
            self._on_segment(segment)
        if "flushed" in message:
            with self._changed:
                process.flushed = message["flushed"]
                self._changed.notify_all()

    def _bury(self, process: _Process) -> None:
        """A worker is gone: what it left is completed. Can be repeated when it fails."""
        process.popen.wait()
        if process.writer:
            salvage.adopt(self._settings.data_dir, process.writer)
            for segment in spool.ready_segments(
                self._settings.data_dir
            ):  # some of which it could not announce any more
                self._on_segment(segment)
        with self._changed:
            self._processes.remove(process)
            self._past.append(process.counts)
            self._changed.notify_all()
        if self._stopping.is_set():
            return
        log.error("an OTLP worker ended with code %s; starting another", process.popen.returncode)
        self.restarts += 1
        if time.monotonic() - process.started < _RESTART_PAUSE_S * 4:
            self._stopping.wait(_RESTART_PAUSE_S)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return "http://" + _address(reachable, port)


def _socket(host: str, port: int) -> tuple[socket.socket, Any]:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as exc:
        raise SettingsError(f"host {host!r} is not an address of this machine: {exc.strerror}") from exc
    return socket.socket(family, kind, proto), address


def _listen(host: str, port: int, flag: str) -> socket.socket:
    listener, address = _socket(host, port)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
    except OSError as exc:
        listener.close()
        raise _in_use(flag, port, exc) from exc
    listener.setblocking(False)
    return listener


def _in_use(flag: str, port: int, exc: OSError) -> SettingsError:
    return SettingsError(f"port {port} cannot be used ({exc.strerror}); stop what uses it or give another --{flag}")
