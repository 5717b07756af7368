"""The sandboxes of one service: one for each tenant that asks, few processes at a time."""

import threading
import time
from dataclasses import dataclass

from spanledger.errors import StoreError
from spanledger.stats.sandbox.direct import Direct
from spanledger.stats.sandbox.sandbox import Sandbox
from spanledger.stats.sandbox.shape import Shapes
from spanledger.stats.sandbox.source import DEFAULT_BOUNDS, Bounds, SourceTooLarge
from spanledger.stats.times import Window
from spanledger.store.client import Store

MAX_PROCESSES = 4
# The operator's statements run on the main engine when they need more: a copy would take longer than the answer.
_OPERATOR_BOUNDS = Bounds(rows=500_000, bytes=256 * 1024**2)


@dataclass(frozen=True)
class Statement:
    """`tenant`: None is all tenants, which only the operator may ask for."""

    query: str
    format: str
    tenant: str | None
    operator: bool
    window: Window


class Sandboxes:
    """Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shapes = Shapes(store)
        self._guard = threading.Lock()
        self._sandboxes: dict[tuple[str | None, bool], Sandbox] = {}
        self._used: dict[tuple[str | None, bool], float] = {}
        self._directs: dict[str | None, Direct] = {}
        self._running: set[threading.Event] = set()
        self._ended = False

    def run(self, statement: Statement, cancelled: threading.Event) -> bytes:
        """The answer. `cancelled`: ends it. Raises BadRequest, SourceTooLarge, StoreError."""
        with self._guard:
            if self._ended:
                raise StoreError("the service is about to end")
            self._running.add(cancelled)
        try:
            return self._run(statement, cancelled)
        finally:
            with self._guard:
                self._running.discard(cancelled)

    def cancel_all(self) -> None:
        """Ends what runs in processes; nothing begins any more."""
        with self._guard:
            self._ended = True
            for cancelled in self._running:
                cancelled.set()

    def close(self) -> None:
        self.cancel_all()
        with self._guard:
            sandboxes, directs = list(self._sandboxes.values()), list(self._directs.values())
            self._sandboxes.clear()
            self._directs.clear()
        for sandbox in sandboxes:
            sandbox.close()
        for direct in directs:
            direct.close()

    def _run(self, statement: Statement, cancelled: threading.Event) -> bytes:
        sandbox = self._sandbox(statement)
        try:
            return sandbox.run(statement.query, statement.format, statement.window, cancelled)
        except SourceTooLarge:
            if not statement.operator:
                raise
        return self._direct(statement.tenant).run(statement.query, statement.format)

    def _sandbox(self, statement: Statement) -> Sandbox:
        key = (statement.tenant, statement.operator)
        with self._guard:
            found = self._sandboxes.get(key)
            if found is None:
                bounds = _OPERATOR_BOUNDS if statement.operator else DEFAULT_BOUNDS
                found = self._sandboxes[key] = Sandbox(
                    self._store, statement.tenant, bounds, every_table=statement.operator
                )
            self._used[key] = time.monotonic()
            idle = self._too_many(key)
        for other in idle:
            other.end_if_idle()
        return found

    def _too_many(self, wanted: tuple[str | None, bool]) -> list[Sandbox]:
        """Those whose processes have to go, the longest unused ones first."""
        alive = [key for key, one in self._sandboxes.items() if one.pid is not None and key != wanted]
        alive.sort(key=lambda key: self._used[key])
        return [self._sandboxes[key] for key in alive[: max(0, len(alive) - MAX_PROCESSES + 1)]]

    def _direct(self, tenant: str | None) -> Direct:
        with self._guard:
            if tenant not in self._directs:
                self._directs[tenant] = Direct(self._store, tenant)
            return self._directs[tenant]
