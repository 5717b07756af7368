"""Parses expensive bodies one at a time on a thread; the sender that has used the least time goes first.

The event loop continues to accept and answer meanwhile. The time is measured, so it does not matter what makes a body
expensive. Every few seconds the recorded times are halved.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_HALF_S = 10.0
_MOST_WAITING = 256  # of one sender
_MANY_SENDERS = 1024


class TooManyWaiting(Exception):
    """This sender's bodies come faster than they can be read."""


class Turns:
    """Belongs to one event loop. `spent`: CPU seconds of the work until now, as its thread sees it."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._used: dict[str, tuple[float, float]] = {}  # seconds, and when that was right

    async def take(self, sender: str, work: Callable[[], T]) -> T:
        """What `work` returns, in this sender's turn. Raises TooManyWaiting, and what `work` raises."""
        if self._busy:
            await self._wait(sender)
        self._busy = True
        try:
            took, result = await asyncio.shield(
                asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)
            )
        finally:
            self._next()
        if isinstance(result, BaseException):
            self._charge(sender, took)
            raise result
        self._charge(sender, took)
        return result

    def used(self, sender: str) -> float:
        """Seconds that a sender has used lately."""
        seconds, at = self._used.get(sender, (0.0, 0.0))
        return seconds * math.exp2((at - self._clock()) / _HALF_S)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, sender: str) -> None:
        line = self._waiting.setdefault(sender, deque())
        if len(line) >= _MOST_WAITING:
            raise TooManyWaiting(f"more than {_MOST_WAITING} bodies of this sender wait to be read")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was ours already
                self._next()
            raise

    def _next(self) -> None:
        """Hands the turn on. It stays taken in between, so that no other sender gets it."""
        while self._waiting:
            sender = min(self._waiting, key=self.used)
            line = self._waiting[sender]
            turn = line.popleft()
            if not line:
                del self._waiting[sender]
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False

    def _charge(self, sender: str, seconds: float) -> None:
        if len(self._used) >= _MANY_SENDERS:
            self._used = {name: pair for name, pair in self._used.items() if self.used(name) > 0.01}
        self._used[sender] = (self.used(sender) + seconds, self._clock())

    def _timed(self, work: Callable[[], T]) -> tuple[float, T | BaseException]:
        """The CPU time of the work, and what came of it."""
        started = self._spent()
        try:
            result: T | BaseException = work()
        except Exception as exc:  # noqa: BLE001 - it is raised where it was awaited
            result = exc
        return self._spent() - started, result
