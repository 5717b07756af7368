"""The interface of the embedded collector for the rest of the program."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from spanledger.access import operator
from spanledger.errors import SettingsError
from spanledger.ingest import dead, salvage, spool
from spanledger.ingest.answers import Answer
from spanledger.ingest.door import Door, encoding_of
from spanledger.ingest.loader import Loader
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.room import Room
from spanledger.ingest.signals import SIGNALS
from spanledger.ingest.supervisor import Supervisor
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.store.registry import Registry

_GLOB_CHARACTERS = set("*?{}[]")

log = logging.getLogger(__name__)


class Ingest:
    """OTLP in, `otel_*` tables out.

    `start()` opens the door to the network; `submit()` is the same door without it. Everything that is answered with
    status 200 is in the spool and will be loaded, by this process or a later one.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        if _GLOB_CHARACTERS & set(str(settings.data_dir.resolve())):
            raise SettingsError(f"the data folder's path must not contain any of * ? {{ }} [ ]: {settings.data_dir}")
        self._settings = settings
        self._masking = Masking(rules_of(settings.masks, settings.mask_rules), settings.data_dir.resolve())
        self._callbacks: list[Callable[[str], None]] = []
        self._loader = Loader(store, settings.data_dir.resolve(), self._durable, self._want, self._loaded)
        self._supervisor: Supervisor | None = None
        self._local: Door | None = None
        self._local_writer: spool.Writer | None = None
        self._local_guard = threading.Lock()
        self._started = False
        self._lock: TextIO | None = None

    @property
    def _durable(self) -> bool:
        return self._settings.durability == "fsync"

    @property
    def endpoint(self) -> str:
        """Where OTLP/HTTP is received, for exporters in this very process too: there is one even with the port off."""
        return self._supervisor.endpoint if self._supervisor is not None else ""

    @property
    def token(self) -> str:
        """What the door takes for the operator of this machine."""
        return operator.read(self._settings.data_dir)

    def on_loaded(self, callback: Callable[[str], None]) -> None:
        """Calls back with the signal's name after every load, on the loading thread."""
        self._callbacks.append(callback)

    def is_flooded(self) -> bool:
        """Whether more is acknowledged than is being loaded."""
        return self._loader.is_flooded()

    def open_door(self, listen: bool = True) -> None:
        """Begins to accept into the spool, as soon as the listeners are up; nothing is loaded before `start`.

        Raises SettingsError for a port that cannot be used or a data folder that cannot be written, StoreBusy when
        another process does the same in it.
        """
        data_dir = self._settings.data_dir.resolve()
        try:
            self._lock = spool.own(data_dir)
            salvage.clear_drafts(data_dir)
        except OSError as exc:
            raise SettingsError(f"the spool in {data_dir} cannot be written: {exc.strerror}") from exc
        salvage.adopt(data_dir)
        if listen:
            Registry(data_dir).close()  # the workers find it made, with the keys in it
            self._supervisor = Supervisor(self._settings, _worker_count(), self._loader.offer)
            try:
                self._supervisor.start()
            except SettingsError:
                self._release()
                raise

    def start(self, listen: bool = True) -> None:
        """Returns when the listeners accept; what an earlier process left is being loaded meanwhile. Opens the door if
        that has not been done. Raises what `open_door` does."""
        if self._lock is None:
            self.open_door(listen)
        if self._supervisor is not None:
            try:
                self._supervisor.wait_up()
            except SettingsError:
                self._release()
                raise
        self._loader.start()
        self._started = True

    def submit(self, signal: str, body: bytes, content_type: str, tenant: str = "") -> Answer:
        """One request body of our own through the same checks and the same spool, without a network."""
        encoding = encoding_of(content_type)
        if encoding is None:
            return Answer(415, "Content-Type must be application/x-protobuf or application/json")
        with self._local_guard:
            if self._local is None:
                data_dir = self._settings.data_dir.resolve()
                self._local_writer = spool.Writer(data_dir, self._durable, self._loader.offer)
                room = Room(data_dir, self._settings.spool_max_bytes, self._settings.min_free_bytes)
                self._local = Door(self._local_writer, room, self._settings.max_body_bytes, self._masking)
            answer = self._local.accept(SIGNALS[signal], body, encoding, tenant=tenant, is_ours=True)
            if answer.accepted and self._local_writer is not None:
                self._local_writer.finish(signal)
            return answer

    def dead_letters(self) -> list[dead.DeadLetter]:
        """What could not be loaded, oldest first."""
        return dead.letters(self._settings.data_dir)

    def replay(self, ids: Sequence[str], timeout: float = 600.0) -> list[dead.Outcome]:
        """Sends dead letters through the door again; no ids: all of them. Raises NotFound."""
        return dead.replay(self._settings.data_dir, ids, self.submit, lambda: self.flush(timeout))

    def flush(self, timeout: float) -> bool:
        """Waits until everything that has been acknowledged is loaded; False when that takes longer."""
        deadline = time.monotonic() + timeout
        if self._supervisor is not None and not self._supervisor.flush(timeout):
            return False
        return self._loader.drain(max(0.0, deadline - time.monotonic()))

    def stop(self, timeout: float = 10.0) -> None:
        """Stops accepting and loads what is spooled while there is time; what is left waits for the next start."""
        deadline = time.monotonic() + timeout
        if self._supervisor is not None:
            self._supervisor.stop(timeout / 2)
        with self._local_guard:
            if self._local_writer is not None:
                self._local_writer.close()
        if self._started and not self._loader.drain(max(0.0, deadline - time.monotonic())):
            log.warning("the spool is not empty; the next start loads the rest")
        self._loader.stop(max(1.0, deadline - time.monotonic()))
        self._release()

    def _release(self) -> None:
        """Another process may load this spool from now on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def worker_pids(self) -> list[int]:
        return self._supervisor.pids() if self._supervisor is not None else []

    def senders(self) -> dict[str, int]:
        """Requests since the start by `<key id>/<HTTP status>`; no key id: no key was given, `?`: none of ours."""
        counts: dict[str, int] = self._supervisor.counts()["senders"] if self._supervisor is not None else {}
        return counts

    def health(self) -> dict[str, Any]:
        """What /readyz and the metrics say. Counters are since the start."""
        waiting = self._loader.waiting()
        door = self._supervisor.counts() if self._supervisor is not None else {}
        progress = self._loader.progress()
        oldest = waiting["oldest_ms"]
        errors = [lane.last_error for lane in progress.values() if lane.last_error]
        return {
            "workers_alive": self._supervisor.alive if self._supervisor is not None else 0,
            "worker_restarts": self._supervisor.restarts if self._supervisor is not None else 0,
            "spool_segments": waiting["segments"],
            "spool_bytes": spool.size_on_disk(self._settings.data_dir),
            "lag_ms": max(0, int(time.time() * 1000) - oldest) if oldest else 0,
            "answers": door.get("answers", {}),
            "accepted": door.get("accepted", {}),
            "rejected": door.get("rejected", {}),
            "masked": door.get("masked", {}),
            "loaded": {signal: lane.items for signal, lane in progress.items()},
            "batches": {signal: lane.batches for signal, lane in progress.items()},
            "retries": sum(lane.retries for lane in progress.values()),
            "dead_letters": dead.count(self._settings.data_dir),
            "last_error": errors[-1] if errors else "",
        }

    def _want(self, signal: str) -> None:
        if self._supervisor is not None:
            self._supervisor.want(signal)

    def _loaded(self, signal: str) -> None:
        for callback in self._callbacks:
            try:
                callback(signal)
            except Exception:  # a listener's fault must not stop the loading
                log.exception("a listener to loads failed")


def _worker_count() -> int:
    return min(4, max(1, (os.cpu_count() or 1) // 2))
