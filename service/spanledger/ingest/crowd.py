"""Limits the connections of a listener: a new connection replaces the one that has been idle longest."""

import asyncio
import time
from typing import Protocol

_SILENT_S = 1.0  # a connection that spoke within it is not closed, unless the bound is far behind
_BEYOND = 8  # one eighth more than the bound, and no fewer than so many, may be present for a moment


class Peer(Protocol):
    """A connection that can be closed at once."""

    def force_close(self) -> None: ...


class Crowd:
    """The connections of one listener.

    A connection is silent while it waits for a request or has not finished a request's header.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._present = 0
        self._silent: dict[Peer, float] = {}  # since when, in the order of it

    @property
    def overfull(self) -> bool:
        return self._present > self._most

    def enter(self, peer: Peer) -> None:
        """Counts a new connection. Where there is no room the longest silent one is closed, or the new one itself."""
        self._present += 1
        far_beyond = self._present > self._most + max(_BEYOND, self._most // _BEYOND)
        if self.overfull and not self._make_room(0.0 if far_beyond else _SILENT_S) and far_beyond:
            _close_soon(peer)
            return
        self._silent[peer] = time.monotonic()

    def leave(self, peer: Peer) -> None:
        self._present -= 1
        self._silent.pop(peer, None)

    def busy(self, peer: Peer) -> None:
        """A request of it is being handled."""
        self._silent.pop(peer, None)

    def silent(self, peer: Peer) -> None:
        """Its request has been answered."""
        self._silent[peer] = time.monotonic()

    def heard(self, peer: Peer) -> None:
        """Marks a connection as silent from now on, because it just sent something."""
        self._silent.pop(peer, None)
        self._silent[peer] = time.monotonic()

    def _make_room(self, silent_s: float) -> bool:
        longest = next(iter(self._silent), None)
        if longest is None or time.monotonic() - self._silent[longest] < silent_s:
            return False
        del self._silent[longest]
        _close_soon(longest)
        return True


def _close_soon(peer: Peer) -> None:
    """Not within the callback that tells of a new connection: its handler has not begun yet."""
    asyncio.get_running_loop().call_soon(peer.force_close)
