"""A worker process of the OTLP endpoint: accepts requests, checks them, writes them to the spool and acknowledges them.

It is separate from the process of the API and settlement, so that their work never delays an acknowledgement. It
inherits its listening sockets: while a worker is replaced, connections wait in the kernel. It ends with its parent: the
control socket closes, and the kernel kills the worker if it is busy.

Control lines from the parent: `want <signal>` asks for the next segment, `flush <number>` for all that are open, `stop`
drains and exits.
Control lines to the parent: JSON, `{"up": pid}`, `{"segment": …}`, `{"flushed": number}`, `{"counts": …}`.
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal as os_signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spanledger import open_files
from spanledger.access import operator
from spanledger.access.authentication import Authentication
from spanledger.access.hosts import Hosts, Origins
from spanledger.access.keys import KeyRing
from spanledger.ingest import rpc, spool
from spanledger.ingest.door import Door
from spanledger.ingest.http import Bounds, HttpDoor
from spanledger.ingest.limits import Limits, Quota
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.reader import Reader
from spanledger.ingest.room import Room
from spanledger.ingest.senders import Senders
from spanledger.ingest.signals import SIGNALS
from spanledger.ingest.worker_config import Config
from spanledger.private import scrub_logs
from spanledger.settings import Settings
from spanledger.store.registry import Registry

_LINGER_S = 0.004  # what arrives within it after the first record goes into the same batch
_MAX_AGE_S = 1.0  # an open segment is completed after it, whether or not the loader requests it
_STATS_EVERY_S = 0.5
_FILES_OF_THE_DOOR = 160  # the spool's segments, the registry, the gRPC server's own
_PR_SET_PDEATHSIG = 1
_SWITCH_S = 0.001  # of the interpreter: how long the event loop waits for a thread that reads a body

log = logging.getLogger(__name__)


class Worker:
    def __init__(self, config: Config) -> None:
        self._config = config
        data_dir = Path(config.data_dir)
        self._writer = spool.Writer(data_dir, config.durable, self._announce, self._plan)
        room = Room(data_dir, config.spool_max_bytes, config.min_free_bytes)
        masking = Masking(rules_of(config.masks, config.mask_rules), data_dir)
        reader = Reader([str(config.max_body_bytes), config.data_dir, json.dumps(config.masks), config.mask_rules])
        self._door = Door(self._writer, room, config.max_body_bytes, masking, reader)
        self._wanted: set[str] = set()
        self._syncing: dict[str, asyncio.Task[None]] = {}
        self._control: asyncio.StreamWriter | None = None
        self._sent_counts: dict[str, Any] = {}

    async def run(self) -> None:
        """Serves until the parent says stop or is gone."""
        control = socket.socket(fileno=self._config.control_fd)
        reader, self._control = await asyncio.open_connection(sock=control)
        sync = self._sync if self._config.durable else None
        limits = Limits(Quota(**self._config.quota))
        senders = self._senders()
        most = Bounds.max_connections + 3 * Bounds.max_relayed
        bounds = Bounds.within(open_files.connections(most, _FILES_OF_THE_DOOR))
        grpc_server, grpc_port = await rpc.serve(self._door, sync, limits, senders) if self._config.grpc else (None, 0)
        http = HttpDoor(
            self._door,
            sync,
            limits,
            senders,
            bounds,
            Origins(self._config.cors_origin),
            self._hosts(),
            grpc_port,
        )
        loop = asyncio.get_running_loop()
        listeners = [socket.socket(fileno=fd) for fd in self._config.listener_fds]
        servers = [
            await loop.create_server(http.server, sock=listener, backlog=open_files.ACCEPTED_AT_ONCE)
            for listener in listeners
        ]
        for listener in listeners:
            open_files.queue(listener)
        self._send({"up": os.getpid(), "writer": self._writer.name})
        reports = asyncio.create_task(self._report())
        drain = await self._obey(reader)
        reports.cancel()
        for server in servers:
            server.close()
        if not drain:
            os._exit(1)
        if grpc_server is not None:
            await grpc_server.stop(grace=2)
        http.server.pre_shutdown()
        await http.server.shutdown(timeout=2)
        self._door.close()
        self._writer.close()
        self._send_counts()
        await self._control.drain()
        self._control.close()

    def _hosts(self) -> Hosts:
        config = self._config
        named = Settings(host=config.host, allowed_hosts=config.allowed_hosts, require_keys=config.require_keys)
        return Hosts(named, Origins(config.cors_origin))

    def _senders(self) -> Senders:
        data_dir = Path(self._config.data_dir)
        ring = KeyRing(Registry(data_dir))
        return Senders(Authentication(ring, self._config.require_keys, operator.read(data_dir)))

    async def _obey(self, reader: asyncio.StreamReader) -> bool:
        """Follows the parent's lines; True when told to stop, False when the parent is gone."""
        while line := await reader.readline():
            words = line.decode().split()
            if words[0] == "stop":
                return True
            if words[0] == "flush":
                for signal in SIGNALS:
                    self._finish(signal)
                self._send_counts()
                self._send({"flushed": int(words[1])})
            if words[0] == "want":
                self._wanted.add(words[1])
                self._fulfil(words[1])
        return False

    def _plan(self, signal: str) -> None:
        """A segment was begun: it ends soon if the parent waits for it, and in any case when it is old."""
        loop = asyncio.get_running_loop()
        loop.call_later(_LINGER_S, self._fulfil, signal)
        loop.call_later(_MAX_AGE_S, self._expire, signal)

    def _fulfil(self, signal: str) -> None:
        age = self._writer.age_seconds(signal)
        if signal in self._wanted and age is not None and age >= _LINGER_S / 2:
            self._finish(signal)

    def _expire(self, signal: str) -> None:
        if (self._writer.age_seconds(signal) or 0.0) >= _MAX_AGE_S / 2:
            self._finish(signal)

    def _finish(self, signal: str) -> None:
        try:
            self._writer.finish(signal)
        except OSError as exc:
            log.error("a spool segment of %s could not be completed, trying again: %s", signal, exc)
            asyncio.get_running_loop().call_later(_MAX_AGE_S, self._finish, signal)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_STATS_EVERY_S)
            self._send_counts()

    async def _sync(self, signal: str) -> None:
        """Group commit: requests that arrive during a sync share the next one."""
        running = self._syncing.get(signal)
        if running is not None:
            await asyncio.wait({running})
        running = self._syncing.get(signal)
        if running is None or running.done():
            fd = self._writer.duplicate(signal)
            if fd is None:  # completed, and thereby synced
                return
            running = self._syncing[signal] = asyncio.create_task(asyncio.to_thread(_sync_and_close, fd))
        await asyncio.shield(running)

    def _announce(self, segment: spool.Segment) -> None:
        self._wanted.discard(segment.signal)
        self._send({"segment": asdict(segment) | {"path": str(segment.path)}})

    def _send_counts(self) -> None:
        counts = self._door.counts.as_dict()
        if counts != self._sent_counts:
            self._sent_counts = counts
            self._send({"counts": counts})

    def _send(self, message: dict[str, Any]) -> None:
        if self._control is not None:
            self._control.write(json.dumps(message).encode() + b"\n")


def _sync_and_close(fd: int) -> None:
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def _die_with_parent(parent_pid: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, os_signal.SIGKILL)
    if os.getppid() != parent_pid:  # it was gone before the line above
        os._exit(1)


def main() -> None:
    config = Config(**json.loads(sys.argv[1]))
    _die_with_parent(config.parent_pid)
    open_files.allow_many()
    sys.setswitchinterval(_SWITCH_S)
    scrub_logs()
    # Ctrl-C in a terminal reaches the whole group; the parent decides when the door closes.
    os_signal.signal(os_signal.SIGINT, os_signal.SIG_IGN)
    os_signal.signal(os_signal.SIGTERM, os_signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="door: %(levelname)s %(message)s")
    with contextlib.suppress(ConnectionError):
        asyncio.run(Worker(config).run())


if __name__ == "__main__":
    main()
