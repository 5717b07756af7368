"""Questions beside others: in a thread of its own where one is free, else in the thread that wants the answer."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Answer(Protocol[T_co]):
    def result(self) -> T_co:
        """Waits for the answer; raises what the question raised."""


class Beside:
    """A few threads. Nobody waits for one of them: a question that holds all of them must not delay those of others."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-beside")
        self._free = threading.Semaphore(threads)

    def ask(self, ask: Callable[[], T]) -> Answer[T]:
        if not self._free.acquire(blocking=False):
            return _Later(ask)
        try:
            return self._pool.submit(copy_context().run, self._asked, ask)
        except RuntimeError:  # closed
            self._free.release()
            return _Later(ask)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        finally:
            self._free.release()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Later(Generic[T]):
    """The answer to a question that is asked when it is wanted."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask

    def result(self) -> T:
        return self._answer

    @cached_property
    def _answer(self) -> T:
        return self._ask()
