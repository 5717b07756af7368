"""Exports what is emitted in batches, on a thread that sleeps while nothing waits.

The SDK's own batch processors wake up at each interval, whether anything was emitted or not, and treat all items alike.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation

_JOIN_S = 30.0
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Batches(Generic[T]):
    """Thread-safe. The callers that add bound the size of the queue."""

    def __init__(self, name: str, export: Callable[[Sequence[T]], Any], batch_size: int) -> None:
        self._export = export
        self._size = batch_size
        self._changed = threading.Condition()
        self._one = threading.Lock()  # exports one after the other
        self._items: deque[T] = deque()
        self._due = math.inf
        self._closed = self._given_up = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def add(self, item: T, within_s: float) -> None:
        """Exports it, and everything that waits, after this time at most; nothing happens after `close`."""
        with self._changed:
            if self._closed:
                return
            self._items.append(item)
            due = time.monotonic() + within_s if len(self._items) < self._size else 0.0
            if due < self._due:
                self._due = due
                self._changed.notify()

    def flush(self, due_within_s: float = math.inf) -> bool:
        """Returns when everything that was added before is exported; where nothing of it is due within this time, it
        waits on. False after `close`."""
        if self._closed:
            return False
        self._export_all(due_within_s)
        return True

    def close(self) -> None:
        """Exports what waits, as long as that does not take too long."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_JOIN_S)
        self._given_up = True

    def _work(self) -> None:
        while self._wait():
            self._export_all()
        self._export_all()

    def _wait(self) -> bool:
        """Until something is due; False after `close`."""
        with self._changed:
            while not self._closed and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(None if left == math.inf else left)
            return not self._closed

    def _export_all(self, due_within_s: float = math.inf) -> None:
        with self._one:
            while self._due - time.monotonic() <= due_within_s and (batch := self._take()):
                try:
                    with suppress_instrumentation():
                        self._export(batch)
                except Exception:  # noqa: BLE001 — what comes later may be delivered
                    _log.exception("a batch of telemetry could not be exported")

    def _take(self) -> list[T]:
        with self._changed:
            batch = [] if self._given_up else [self._items.popleft() for _ in range(min(self._size, len(self._items)))]
            if not self._items:
                self._due = math.inf
            return batch
