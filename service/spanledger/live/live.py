"""The live stream as the rest of the program sees it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import orjson

from spanledger.errors import SpanledgerError
from spanledger.live.bus import Bell, Bus, Missed
from spanledger.live.event import Cursor, Event, Filter
from spanledger.live.fanned import Fanned
from spanledger.live.follower import Follower
from spanledger.live.hearing import Hearing
from spanledger.live.missed import Missed as MissedEvents
from spanledger.live.missed import Page
from spanledger.live.postings import Postings
from spanledger.store.client import Store

HEARTBEAT_S = 10.0  # of silence
MAX_READERS = 2_000
_COME_AGAIN = b"retry: 1000\n\n"  # ms that a browser waits before it comes back


class Unavailable(SpanledgerError):
    """There is no stream for this reader now."""

    title = "Live stream unavailable"
    status = 503
    error_type = "stream_unavailable"


class Live:
    """`hearing` is telemetry's listener; `catch_up` makes everything that was emitted or acknowledged readable.

    Without a store there is only what happens from now on.
    """

    def __init__(
        self,
        service: str,
        store: Store | None = None,
        catch_up: Callable[[], None] = lambda: None,
        instance: str = "",
    ) -> None:
        self.bus = Bus()
        self.fanned = Fanned(service, instance)
        self.hearing = Hearing(self.bus)
        self.follower: Follower | None = None
        self._missed: MissedEvents | None = None
        if store is not None:
            postings = Postings(store, service)
            self.follower = Follower(self.bus, postings)
            self._missed = MissedEvents(store, postings, service)
        self._catch_up = catch_up
        self._catching_up = asyncio.Lock()
        self._caught_up_at = 0.0

    def start(self) -> None:
        if self.follower is not None:
            self.follower.start()

    def wake(self) -> None:
        """Says that something was posted to the books."""
        if self.follower is not None:
            self.follower.wake()

    def close(self) -> None:
        """Readers get what is there and end."""
        self.bus.close()
        if self.follower is not None:
            self.follower.stop()

    def health(self) -> dict[str, int]:
        return {
            "events": self.bus.head,
            "readers": self.bus.readers,
            "dropped_readers": self.bus.dropped_readers,
            "failures": self.hearing.failures,
        }

    async def stream(self, wanted: Filter, cursor: Cursor | None) -> AsyncGenerator[bytes]:
        """text/event-stream from now on, or from `cursor` on. Ends when the reader was too slow, or the service stops.

        The first piece comes when the place in the stream is found: until then it raises StoreError, Unavailable.
        """
        if self.bus.readers >= MAX_READERS:
            raise Unavailable(f"{MAX_READERS} readers are connected already; come back later")
        with self.bus.listen() as bell:
            start, page = await self._place(wanted, cursor)
            yield _COME_AGAIN
            for event in page.events:
                yield event.frame()
            if not page.whole:
                yield _notice("continued", "there is more: connect again with Last-Event-ID for it")
                return
            last = page.events[-1].cursor if page.events else cursor
            async for piece in self._follow(wanted, start, bell, last or self.bus.cursor):
                yield piece

    async def _place(self, wanted: Filter, cursor: Cursor | None) -> tuple[int, Page]:
        """Where to read on in the bus, and what to read before."""
        if cursor is None:
            if self.follower is not None:
                await asyncio.to_thread(self.follower.join)
            return self.bus.head, Page([], True)
        known = self.bus.find(cursor)
        if known is not None or self._missed is None or self.follower is None:
            return known if known is not None else self.bus.head, Page([], True)
        start, booked_until_us = await asyncio.to_thread(self.follower.join)
        running = self.hearing.open()
        await self._all_readable()
        return start, await asyncio.to_thread(self._read_back, wanted, cursor, start, booked_until_us, running)

    def _read_back(
        self, wanted: Filter, cursor: Cursor, start: int, booked_until_us: int, running: list[Event]
    ) -> Page:
        assert self._missed is not None
        try:
            coming = self.bus.between(start, self.bus.head)
        except Missed:
            coming = []  # the reader will get Missed
        seen = {(event.booked, event.place) for event in coming}
        return self._missed.since(wanted, cursor, booked_until_us, running, seen)

    async def _all_readable(self) -> None:
        """Makes all events until now readable. Concurrent readers wait for one such run."""
        began = time.monotonic()
        async with self._catching_up:
            if self._caught_up_at < began:
                begun = time.monotonic()
                await asyncio.to_thread(self._catch_up)
                self._caught_up_at = begun

    async def _follow(self, wanted: Filter, start: int, bell: Bell, cursor: Cursor) -> AsyncIterator[bytes]:
        heard = time.monotonic()
        while True:
            try:
                frames, following = self.bus.chunk(wanted, start)
            except Missed as exc:
                self.bus.dropped_readers += 1
                yield _notice("dropped", f"too slow: {exc} were passed over; connect again with Last-Event-ID for them")
                return
            if following > start:
                start = following
                if frames:
                    yield frames
                    heard = time.monotonic()
                continue
            if self.bus.closed:
                yield _notice("closing", "the service stops; connect again with Last-Event-ID")
                return
            if time.monotonic() - heard >= HEARTBEAT_S:
                yield b": still here\n\n"
                heard = time.monotonic()
            await bell.wait()


def _notice(name: str, detail: str) -> bytes:
    """Not one of the events: it has no id, so the reader's place stays what it was."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, "detail": detail}))
