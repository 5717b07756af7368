"""Publishes ledger entries as events while a client reads the stream."""

import logging
import threading
import time

from spanledger.errors import StoreError
from spanledger.live.bus import Bus
from spanledger.live.event import Place
from spanledger.live.postings import Postings

_log = logging.getLogger(__name__)
_PAGE = 2_000  # messages that are looked at at once
_BURST = 500  # events that are published without letting readers catch up
_PAUSE_S = 0.05
_IDLE_S = 1.0


class Follower:
    """A thread of its own. Without readers it only notes how far the ledger is: the books do not wait for it."""

    def __init__(self, bus: Bus, postings: Postings) -> None:
        self._bus = bus
        self._postings = postings
        self._guard = threading.Lock()  # held while events are read and published
        self._reached_us = _now_us()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-books", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def wake(self) -> None:
        """Says that something was posted. Takes no time."""
        self._wake.set()

    def join(self) -> tuple[int, int]:
        """For a new reader, who is counted already: the number of the next event of the bus, and the moment (µs) up
        to which it has to read the ledger itself."""
        with self._guard:
            if self._bus.readers <= 1:  # the first reader: nothing was followed before
                self._reached_us = max(self._reached_us, _now_us())
                self._bus.pass_booked(Place(self._reached_us * 1000))
            return self._bus.head, self._reached_us

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_IDLE_S)
            self._wake.clear()
            if self._bus.readers:
                try:
                    while self._follow():
                        pass
                except StoreError as exc:
                    _log.warning("the stream cannot follow the books, will try again: %s", exc)
                except Exception:  # noqa: BLE001 — the thread must survive whatever it meets, and say so
                    _log.exception("the stream cannot follow the books, will try again")

    def _follow(self) -> bool:
        """Publishes a page of what was posted; whether there may be more."""
        with self._guard:
            # Not until now, but until the last that is there: an entry appears a little after its time.
            tenants, until = self._postings.posted(self._reached_us)
            if not tenants:
                return False
            events, self._reached_us = self._postings.events(tenants, self._reached_us, until, _PAGE)
            for number, event in enumerate(events, 1):
                self._bus.publish(event)
                if number % _BURST == 0:
                    self._stop.wait(_PAUSE_S)
            return self._reached_us < until


def _now_us() -> int:
    return time.time_ns() // 1000
