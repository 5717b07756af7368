"""Limits per sender: requests and bytes per second, and concurrent requests.

A request over a limit is refused before its body is read, with the time after which it would be accepted. Each
API key is a sender of its own; requests without a key share one sender."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_MANY_SENDERS = 1024  # beyond it the idle are forgotten: they begin again as they were, with full buckets
_WAIT_FOR_OTHERS_S = 1.0  # a request of the same sender is likely to have ended by then


@dataclass(frozen=True)
class Quota:
    """What one sender may do; 0 is no limit. A second's worth may come at once."""

    requests_per_s: float = 0.0
    bytes_per_s: float = 0.0
    concurrent: int = 0


class Limited(Exception):
    """Over a limit. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _Bucket:
    """Fills with `rate` a second up to one second's worth. Can be overdrawn, by bodies longer than announced."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate)
        self._level = self._capacity
        self._at = now

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` fits; what is more than the bucket holds fits into a full one."""
        if not self._rate:
            return 0.0
        self._fill(now)
        return max(0.0, min(amount, self._capacity) - self._level) / self._rate

    def take(self, amount: float) -> None:
        if self._rate:
            self._level -= amount

    def full(self, now: float) -> bool:
        self._fill(now)
        return self._level >= self._capacity

    def _fill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now


@dataclass
class _Sender:
    quota: Quota
    requests: _Bucket
    bytes: _Bucket
    running: int = 0

    def idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return not self.running and self.requests.full(now) and self.bytes.full(now)


@dataclass
class Allowance:
    """One request's permission. What it turns out to hold beyond the announced bytes is charged as it comes."""

    _bytes: _Bucket
    _announced: int
    _seen: int = field(default=0)

    def received(self, size: int) -> None:
        beyond = max(0, self._seen + size - max(self._announced, self._seen))
        self._seen += size
        self._bytes.take(beyond)


class Limits:
    """The senders of one process. Used by one thread."""

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.monotonic) -> None:
        self._quota = quota
        self._clock = clock
        self._senders: dict[str, _Sender] = {}

    @contextmanager
    def request(self, sender: str, announced: int = 0, quota: Quota | None = None) -> Iterator[Allowance]:
        """Goes around a request that announces so many bytes; `quota` replaces the general one for this sender.

        Raises Limited, before anything is charged.
        """
        state = self._of(sender, quota or self._quota)
        self._check(state, announced)
        state.requests.take(1)
        state.bytes.take(announced)
        state.running += 1
        try:
            yield Allowance(state.bytes, announced)
        finally:
            state.running -= 1

    def _check(self, state: _Sender, announced: int) -> None:
        quota, now = state.quota, self._clock()
        if quota.concurrent and state.running >= quota.concurrent:
            raise Limited(f"more than {quota.concurrent} requests at a time", _WAIT_FOR_OTHERS_S)
        if wait := state.requests.wait(now, 1):
            raise Limited(f"more than {quota.requests_per_s:g} requests a second", wait)
        if wait := state.bytes.wait(now, announced):
            raise Limited(f"more than {quota.bytes_per_s:g} bytes a second", wait)

    def _of(self, sender: str, quota: Quota) -> _Sender:
        state = self._senders.get(sender)
        if state is None:
            self._forget_the_idle()
            state = self._senders[sender] = _Sender(quota, *self._buckets(quota))
        elif state.quota != quota:
            state.quota, (state.requests, state.bytes) = quota, self._buckets(quota)
        return state

    def _buckets(self, quota: Quota) -> tuple[_Bucket, _Bucket]:
        now = self._clock()
        return _Bucket(quota.requests_per_s, now), _Bucket(quota.bytes_per_s, now)

    def _forget_the_idle(self) -> None:
        if len(self._senders) >= _MANY_SENDERS:
            now = self._clock()
            self._senders = {name: state for name, state in self._senders.items() if not state.idle(now)}
