"""Audit log records. Of frequent events the first is written at once, the rest of the minute as one count.

Keys used and refused, data read and written, requests that failed validation. Config changes, tool calls and refusals
by a limit are written one by one where they happen.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from spanledger.telemetry import Telemetry, audit, ids

WINDOW_S = 60.0
MAX_KINDS = 10_000  # distinct events in one window; further ones are counted without their target
_TICK_S = 1.0
_READS = frozenset({"data.read", "key.use"})  # what was allowed of these waits for others, as its span does
_log = logging.getLogger(__name__)

_Kind = tuple[str, str, str, str, str, tuple[tuple[str, audit.Value], ...]]


@dataclass
class _Waiting:
    since: float
    count: int = 0


class Reports:
    """Thread-safe. `watch` adds something to look at every second."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._guard = threading.Lock()
        self._waiting: dict[_Kind, _Waiting] = {}
        self._written = 0
        self._watched: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="access-reports", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, look: Callable[[], None]) -> None:
        """Calls `look` every second from now on, on our own thread; it may `note` what it finds."""
        self._watched.append(look)

    def note(
        self,
        event: str,
        action: str,
        outcome: str,
        *,
        tenant: str = "",
        key_id: str = "",
        count: int = 1,
        **facts: audit.Value,
    ) -> None:
        """`count` of the same thing happened; `tenant` empty is the default one. See `telemetry.audit.record`."""
        kind = (event, action, outcome, tenant, key_id, tuple(sorted(facts.items())))
        with self._guard:
            if kind not in self._waiting and len(self._waiting) >= MAX_KINDS:
                kind = (event, action, outcome, tenant, key_id, (("target", "(too many to name)"),))
            waiting = self._waiting.get(kind)
            if waiting is not None:
                waiting.count += count
                return
            self._waiting[kind] = _Waiting(self._clock())
        self._tell(kind, count)

    def tell(self, all_of_it: bool = False) -> None:
        """Tells what has waited for its minute, or all that waits."""
        before = self._clock() - WINDOW_S
        with self._guard:
            due = {kind: one for kind, one in self._waiting.items() if all_of_it or one.since <= before}
            for kind in due:
                del self._waiting[kind]
        for kind, one in due.items():
            if one.count:
                self._tell(kind, one.count)

    def look(self) -> None:
        """Looks at what is watched now."""
        for look in self._watched:
            look()

    def finish(self) -> bool:
        """Emits everything that waits; whether there was anything."""
        before = self._written
        self.look()
        self.tell(all_of_it=True)
        return self._written > before

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self.finish()

    def _work(self) -> None:
        while not self._stop.wait(_TICK_S):
            try:
                self.look()
                self.tell()
            except Exception:  # noqa: BLE001 — without this thread no report would be emitted any more
                _log.exception("what happened could not be reported")

    def _tell(self, kind: _Kind, count: int) -> None:
        event, action, outcome, tenant, key_id, facts = kind
        self._written += 1
        with ids.carry(tenant=tenant, key_id=key_id):
            can_wait = outcome == "allowed" and action in _READS
            audit.record(self._telemetry, event, action, outcome, can_wait=can_wait, count=count, **dict(facts))
