"""Measures how long the event loop was blocked. Meanwhile no request is answered, not even `/healthz`.

The loop sets a time every 200 ms; a thread checks it. A stall over 250 ms is logged with the line of
ours that the loop was in.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from opentelemetry.metrics import CallbackOptions, Meter, Observation

import spanledger

BEAT_S = 0.2  # an idle process wakes for every beat
LOGGED_S = 0.25
_LOOK_S = 0.2
_OURS = str(Path(spanledger.__file__).parent)
_log = logging.getLogger(__name__)


class Stalls:
    """Belongs to one event loop, on whose thread it is started."""

    def __init__(self) -> None:
        self.longest_s = 0.0  # since the start, or the last `forget`
        self.count = 0  # of stalls over LOGGED_S
        self._beat = time.monotonic()
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = threading.Event()
        self._place = ""
        self._since_collection = 0.0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._beat = time.monotonic()
        self._next()
        threading.Thread(target=self._watch, args=(threading.get_ident(),), name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        if self._handle is not None:
            self._handle.cancel()

    def health(self) -> dict[str, int]:
        return {"longest_stall_ms": round(self.longest_s * 1000), "stalls": self.count}

    def forget(self) -> None:
        """Begins a new maximum."""
        self.longest_s = 0.0

    def report(self, meter: Meter) -> None:
        """The longest stall since the last collection, of those over LOGGED_S, and how many there were."""
        meter.create_observable_gauge(
            "spanledger.loop.longest_stall", [self._take_longest], "s", "Longest hold-up of the event loop"
        )
        meter.create_observable_counter(
            "spanledger.loop.stalls",
            [lambda _: [Observation(self.count)]],
            "{stall}",
            f"Hold-ups of the event loop over {LOGGED_S} s",
        )

    def _take_longest(self, _: CallbackOptions) -> Iterable[Observation]:
        longest, self._since_collection = self._since_collection, 0.0
        return [Observation(longest if longest > LOGGED_S else 0.0)]  # short delays would export a change each time

    def _next(self) -> None:
        assert self._loop is not None
        self._handle = self._loop.call_later(BEAT_S, self._tick)

    def _tick(self) -> None:
        late = time.monotonic() - self._beat - BEAT_S
        self._beat = time.monotonic()
        self.longest_s = max(self.longest_s, late)
        self._since_collection = max(self._since_collection, late)
        if late > LOGGED_S:
            self.count += 1
            _log.warning("the event loop was held up for %d ms%s", late * 1000, self._place)
        self._place = ""
        self._next()

    def _watch(self, thread: int) -> None:
        while not self._over.wait(_LOOK_S):
            if time.monotonic() - self._beat > BEAT_S + LOGGED_S / 2 and not self._place:
                self._place = _place(sys._current_frames().get(thread))


def _place(frame: FrameType | None) -> str:
    """The innermost line of ours in a stack."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OURS):
            name = Path(frame.f_code.co_filename).relative_to(_OURS)
            return f" in {name}:{frame.f_lineno} ({frame.f_code.co_name})"
        frame = frame.f_back
    return ""
