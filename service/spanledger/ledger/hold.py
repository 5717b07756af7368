"""The lock of the books: settlement, audits and re-pricings take it while they compare or write."""

import threading
from collections import deque


class Hold:
    """A reentrant lock, taken in the order of arrival, that tells its owner how many wait for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._queue: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait for it."""
        return len(self._queue)

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._owner != me:
                self._wait()
                self._owner = me
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._changed.notify_all()

    def _wait(self) -> None:
        ticket = object()
        self._queue.append(ticket)
        try:
            self._changed.wait_for(lambda: self._owner is None and self._queue[0] is ticket)
        finally:
            self._queue.remove(ticket)
            self._changed.notify_all()  # the next one may be first now
