"""Blocking work on a thread that does not delay the end of the process."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def in_daemon_thread(work: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """What `work` returns or raises; it holds no place in a pool. Lanes bound how many there are."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        setter: Callable[[Any], None] = future.set_result
        value: Any
        try:
            value = context.run(work)
        except BaseException as exc:  # noqa: BLE001 — it is raised where the future is awaited
            setter, value = future.set_exception, exc
        with contextlib.suppress(RuntimeError):  # the loop is closed; nobody waits
            loop.call_soon_threadsafe(tell, setter, value)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
