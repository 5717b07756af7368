"""The in-process bus: one ring of the newest events; each reader has its own position.

A publisher appends to the ring and continues; it never waits for readers. The ring bounds the memory for any number of
readers. A reader whose position was overwritten was too slow and gets Missed.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from spanledger.live.event import Cursor, Event, Filter, Place

RING = 16_384  # events, ~1 kB each
MAX_CHUNK = 512  # events that a reader is given at once
BEAT_S = 5.0
_CHUNKS_SHARED = 64
_TICK_S = 0.002  # readers are woken this much after the first event that waits for them,
_TICK_PER_READER_S = 0.00005  # and later the more they are, so that many share one wake


class Missed(Exception):
    """The reader was too slow: `events` that it had not read are gone from the ring."""

    def __init__(self, events: int) -> None:
        super().__init__(f"{events} events")
        self.events = events


class Bell:
    """Wakes the readers of one event loop, at most once per tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._due = False
        self.readers = 0

    def ring(self) -> None:
        """Called by publishers, from any thread, while they hold the bus's lock."""
        if not self._due:
            self._due = True
            with suppress(RuntimeError):  # the loop is closed; its readers are gone
                self._loop.call_soon_threadsafe(self._later)

    def _later(self) -> None:
        self._loop.call_later(_TICK_S + _TICK_PER_READER_S * self.readers, self._wake)

    def _wake(self) -> None:
        self._due = False
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def beat(self) -> None:
        """Wakes all readers at intervals, so that they can send a heartbeat."""
        if self.readers:
            self._wake()
            self._loop.call_later(BEAT_S, self.beat)

    async def wait(self) -> None:
        """Until it rings."""
        future = self._loop.create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


class Bus:
    """Publish from any thread; read within event loops."""

    def __init__(self, ring: int = RING) -> None:
        self._guard = threading.Lock()
        self._size = ring
        self._ring: list[Event | None] = [None] * ring
        self._head = 0  # events ever published
        self._emitted = self._booked = Place(time.time_ns())
        self._bells: dict[asyncio.AbstractEventLoop, Bell] = {}
        self._chunks: dict[tuple[Filter, int, int], tuple[bytes, int]] = {}
        self.closed = False
        self.dropped_readers = 0

    @property
    def head(self) -> int:
        """The number of the next event."""
        return self._head

    @property
    def oldest(self) -> int:
        """The number of the oldest event that can be read."""
        return max(0, self._head - self._size)

    @property
    def readers(self) -> int:
        return sum(bell.readers for bell in self._bells.values())

    @property
    def cursor(self) -> Cursor:
        """The place of the newest event."""
        with self._guard:
            return Cursor(self._emitted, self._booked)

    def pass_booked(self, place: Place) -> None:
        """What was posted up to `place` is not going to be published."""
        with self._guard:
            self._booked = max(self._booked, place)

    def publish(self, event: Event) -> None:
        """Takes some µs, whatever the number of readers."""
        with self._guard:
            if event.booked:
                self._booked = event.place
            else:
                self._emitted = event.place
            event.cursor = Cursor(self._emitted, self._booked)
            self._ring[self._head % self._size] = event
            self._head += 1
            for bell in self._bells.values():
                bell.ring()

    def between(self, start: int, end: int) -> list[Event]:
        """The events from number `start` to before `end`. Raises Missed."""
        with self._guard:
            if start < self.oldest:
                raise Missed(self.oldest - start)
            places = (number % self._size for number in range(start, min(end, self._head)))
            return [event for place in places if (event := self._ring[place]) is not None]

    def find(self, cursor: Cursor) -> int | None:
        """The number after the event with this cursor; None when the ring does not hold it."""
        with self._guard:
            for number in range(self._head - 1, self.oldest - 1, -1):
                event = self._ring[number % self._size]
                if event is not None and event.cursor == cursor:
                    return number + 1
        return None

    def chunk(self, wanted: Filter, start: int) -> tuple[bytes, int]:
        """The frames of some wanted events from `start` on, and where to go on. Raises Missed.

        Readers that want the same share one piece of work.
        """
        end = min(self._head, start + MAX_CHUNK)
        if start >= end:
            return b"", start
        found = self._chunks.get((wanted, start, end))
        if found is None or start < self.oldest:
            frames = [event.frame() for event in self.between(start, end) if wanted(event)]
            found = b"".join(frames), end
            if len(self._chunks) >= _CHUNKS_SHARED:
                self._chunks.clear()
            self._chunks[wanted, start, end] = found
        return found

    @contextmanager
    def listen(self) -> Iterator[Bell]:
        """The bell of the running loop, while it has readers."""
        loop = asyncio.get_running_loop()
        with self._guard:
            bell = self._bells.setdefault(loop, Bell(loop))
            bell.readers += 1
        if bell.readers == 1:
            loop.call_later(BEAT_S, bell.beat)
        try:
            yield bell
        finally:
            with self._guard:
                bell.readers -= 1
                if not bell.readers:
                    del self._bells[loop]

    def close(self) -> None:
        """Readers read what is there and end."""
        with self._guard:
            self.closed = True
            for bell in self._bells.values():
                bell.ring()
