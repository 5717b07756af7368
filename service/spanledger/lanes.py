"""Turns for work that many callers share: so many at once, so many of one tenant, tenants in rotation.

A caller who waits holds no thread. A tenant with many callers waits behind its own, not in front of others.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from types import MappingProxyType

from spanledger.errors import SpanledgerError


class Busy(SpanledgerError):
    """A tenant has as many requests of a kind under way and waiting as it may have."""

    title = "Too many requests at once"
    status = 429
    error_type = "rate_limit_exceeded"
    headers = MappingProxyType({"Retry-After": "1"})


@dataclass(frozen=True)
class Width:
    """`total`: at once; `share`: of them of one tenant; `waiting`: of one tenant, beyond those."""

    total: int
    share: int
    waiting: int


class Lane:
    """Belongs to one event loop."""

    def __init__(self, name: str, width: Width) -> None:
        self.name = name
        self._width = width
        self._running: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def running(self) -> int:
        return sum(self._running.values())

    async def enter(self, tenant: str) -> None:
        """Waits for a turn; `leave` ends it. Raises Busy when too many of the tenant wait already."""
        queue = self._waiting.get(tenant)
        if not queue and self._fits(tenant):
            self._running[tenant] = self._running.get(tenant, 0) + 1
            return
        if (queue is not None and len(queue) >= self._width.waiting) or not self._width.waiting:
            raise Busy(
                f"{self._running.get(tenant, 0)} requests of kind {self.name} are under way for tenant {tenant!r} and"
                f" {len(queue or ())} wait; send the next one when one has been answered"
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(place)
        try:
            await place  # the caller that completes it has already counted us as running
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(tenant)
            else:
                self._forget(tenant, place)
            raise

    def _fits(self, tenant: str) -> bool:
        return self.running < self._width.total and self._running.get(tenant, 0) < self._width.share

    def _forget(self, tenant: str, place: "asyncio.Future[None]") -> None:
        queue = self._waiting.get(tenant)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[tenant]

    def leave(self, tenant: str) -> None:
        """Ends a turn."""
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
        self._admit()

    def _admit(self) -> None:
        """Gives free places to waiting tasks, one of each tenant in rotation."""
        admitted = True
        while admitted:
            admitted = False
            for tenant in list(self._waiting):
                if not self._fits(tenant):
                    continue
                queue = self._waiting.pop(tenant)
                place = queue.popleft()
                if queue:
                    self._waiting[tenant] = queue  # at the end of the rotation
                if place.cancelled():
                    continue
                self._running[tenant] = self._running.get(tenant, 0) + 1
                place.set_result(None)
                admitted = True
