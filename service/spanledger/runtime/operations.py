"""Operations that outlast a request: one request starts them, others poll them.

One operation runs at a time, on a daemon thread of its own; the others wait, but for urgent ones. The results of the
last ones are kept in memory for a while.
"""

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from spanledger.errors import NotFound, SpanledgerError

MAX_KEPT = 20
KEPT_S = 3600.0
MAX_WAITING_OF_OWNER = 4
Say = Callable[[str], None]
Work = Callable[[Say], dict[str, Any]]
_log = logging.getLogger(__name__)


class TooManyOperations(SpanledgerError):
    title = "Too many operations"
    status = 429
    error_type = "rate_limit_exceeded"


@dataclass
class Operation:
    """`owner`: a tenant; empty: the operator. `key`: what makes two requests the same operation."""

    owner: str
    key: str
    work: Work
    operation_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = "waiting"  # waiting | running | done | failed
    progress: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    ended_s: float = 0.0  # of the monotonic clock
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The result, once it has ended. Raises what the work raised."""
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def progress_report(self) -> dict[str, Any]:
        """How far it is."""
        return {
            "operation_id": self.operation_id,
            "state": "waiting" if self.state == "waiting" else "running",
            "progress": self.progress,
            "created_at": self.created_at.isoformat(),
        }


class Operations:
    """Thread-safe. Its thread starts with the first operation and ends with the process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[str, Operation] = OrderedDict()
        self._waiting: deque[Operation] = deque()
        self._thread: threading.Thread | None = None

    def start(self, owner: str, key: str, work: Work, urgent: bool = False) -> Operation:
        """Begins it, or finds the same one under way. `urgent`: it takes little time, and waits for no other.

        Raises TooManyOperations.
        """
        with self._guard:
            self._forget_old()
            open_ones = [one for one in self._known.values() if one.owner == owner and not one.ended.is_set()]
            for one in open_ones:
                if one.key == key:
                    return one
            if len(open_ones) >= MAX_WAITING_OF_OWNER:
                raise TooManyOperations(f"{len(open_ones)} operations wait or run already; ask for them first")
            new = Operation(owner, key, work)
            self._known[new.operation_id] = new
            if urgent:
                threading.Thread(target=self._run, args=(new,), name="operation", daemon=True).start()
                return new
            self._waiting.append(new)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work_off, name="operations", daemon=True)
                self._thread.start()
            return new

    def get(self, owner: str, operation_id: str) -> Operation:
        """`owner`: empty finds the operations of all tenants. Raises NotFound."""
        with self._guard:
            found = self._known.get(operation_id)
        if found is None or (owner and found.owner != owner):
            raise NotFound(f"there is no operation {operation_id!r}; results are kept for {KEPT_S / 60:.0f} minutes")
        return found

    def progress_of(self, key: str) -> str | None:
        """What the latest operation with this key is at; None when it is not known here."""
        with self._guard:
            found = [one for one in self._known.values() if one.key == key]
        return found[-1].progress if found else None

    async def wait(self, operation: Operation, seconds: float) -> bool:
        """Whether it ended within so many seconds; no thread waits."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(ended.set)

        with self._guard:
            operation.listeners.append(tell)
        try:
            if not operation.ended.is_set():
                async with asyncio.timeout(seconds):
                    await ended.wait()
        except TimeoutError:
            return False
        finally:
            with self._guard:
                operation.listeners.remove(tell)
        return True

    def _work_off(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._thread = None
                    return
                operation = self._waiting.popleft()
            self._run(operation)

    def _run(self, operation: Operation) -> None:
        operation.state = "running"
        try:
            operation.result = operation.work(lambda text: setattr(operation, "progress", text))
            operation.state = "done"
        except BaseException as exc:  # noqa: BLE001 — raised again in the caller that fetches the result
            if not isinstance(exc, SpanledgerError):
                _log.exception("operation %s failed", operation.operation_id)
            operation.error, operation.state = exc, "failed"
        operation.ended_s = time.monotonic()
        operation.ended.set()
        with self._guard:
            listeners = list(operation.listeners)
        for listener in listeners:
            listener()

    def _forget_old(self) -> None:
        ended = [one for one in self._known.values() if one.ended.is_set()]
        too_many = len(ended) - MAX_KEPT
        for number, one in enumerate(ended):
            if number < too_many or time.monotonic() - one.ended_s > KEPT_S:
                del self._known[one.operation_id]
