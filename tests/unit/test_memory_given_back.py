"""Memory is given back some time after a start, and a stop at that moment is no error."""

import asyncio
import threading
from typing import Any

import pytest

from spanledger.runtime import runtime


def test_a_stop_may_come_before_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_SETTLED_S", 0.0)
    odd: list[dict[str, Any]] = []
    ran: list[str] = []
    monkeypatch.setattr(runtime.memory, "return_what_start_took", lambda: ran.append(threading.current_thread().name))

    async def stop() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: odd.append(context))
        await loop.shutdown_default_executor()
        runtime.give_memory_back_soon()
        fired = asyncio.Event()
        loop.call_later(0, fired.set)
        await fired.wait()

    asyncio.run(stop())
    for thread in threading.enumerate():
        if thread.name == "memory":
            thread.join(10)
    assert (odd, ran) == ([], ["memory"])
