"""Freshness of answers: `X-Books-Lag`, `as_of`, `?wait=settled`, and data that is acknowledged but not settled.

A request for a message or trace that is not in the books yet waits for a moment before it is answered with 404, because
its spans may have been acknowledged just before.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Query, Response

from spanledger.api.reader import AppServices, Reader
from spanledger.errors import NotFound, StoreError
from spanledger.runtime.services import Caller, Services
from spanledger.stats import breakdown
from spanledger.stats.conversations import Conversation, Message
from spanledger.stats.fields import Time
from spanledger.stats.times import format_time

WAIT_S = 10.0  # of `?wait=settled`, for loading and for settlement together
MOMENT_S = 5.0  # for something that may be on its way
LAG_HEADER = "X-Books-Lag"  # milliseconds

Found = TypeVar("Found")
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class MessageAnswer(Message):
    """`state` is `pending` while the books lack the message; its figures are then those of the reply. `question` and
    `content` (the answer) are null if they were not kept."""

    question: str | None
    content: str | None
    state: Literal["settled", "pending"]
    as_of: Time


@dataclass(frozen=True, kw_only=True)
class ConversationAnswer(Conversation):
    as_of: Time


@dataclass(frozen=True, kw_only=True)
class UserUsageAnswer(breakdown.UserUsage):
    as_of: Time


@dataclass(frozen=True, kw_only=True)
class BreakdownAnswer(breakdown.Breakdown):
    as_of: Time


@dataclass(frozen=True)
class FreshReader(Reader):
    """A reader that also measures how far the books are behind."""

    services: Services

    @property
    def lag_ms(self) -> int:
        """How long ago the oldest of what is loaded last or settled last had come; 0 when nothing waits."""
        services = self.services
        settling = services.ledger.settler.health()["lag_ms"] if services.settings.plays("settle") else 0
        return int(max(services.ingest.health()["lag_ms"], settling))

    def dated(self, kind: Callable[..., Answer], found: Any, **more: Any) -> Answer:
        """`found` as an answer that says how fresh it is."""
        as_of = format_time(time.time_ns() - self.lag_ms * 1_000_000)
        return kind(**{field.name: getattr(found, field.name) for field in fields(found)}, as_of=as_of, **more)

    def settle(self, within_s: float) -> bool:
        """Waits until what was emitted here or acknowledged is in the books; whether it is."""
        services = self.services
        deadline = time.monotonic() + within_s
        try:
            services.telemetry.flush(only="books")
            if not services.ingest.flush(within_s):
                return False
            if services.settings.plays("settle"):
                services.ledger.settler.settle_now(max(0.0, deadline - time.monotonic()))
        except StoreError:
            return False
        return time.monotonic() < deadline

    def soon(self, look: Callable[[], Found]) -> Found:
        """What `look` finds now, or within a moment. Raises NotFound."""
        try:
            return look()
        except NotFound:
            self.settle(MOMENT_S)
            return look()


def _fresh(
    services: AppServices,
    principal: Caller,
    response: Response,
    wait: Annotated[
        Literal["settled"] | None,
        Query(description="`settled`: waits, at most 10 s, until what was written before is in the books."),
    ] = None,
) -> FreshReader:
    reader = FreshReader(services.reading, principal.tenant, services)
    if wait is not None:
        reader.settle(WAIT_S)
    response.headers[LAG_HEADER] = str(reader.lag_ms)
    return reader


FreshReads = Annotated[FreshReader, Depends(_fresh)]
