"""Versions for rows that replace each other (ReplacingMergeTree)."""

import threading
import time


class Versions:
    """Ever growing numbers, about microseconds since 1970, also when the clock jumps back. Thread-safe."""

    def __init__(self) -> None:
        self._last = 0
        self._guard = threading.Lock()

    def at_least(self, known: int) -> None:
        """Whatever comes next is larger than `known`."""
        with self._guard:
            self._last = max(self._last, known)

    def next(self) -> int:
        with self._guard:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return self._last
