"""Isolates the trace that makes settlement fail.

After a failed batch the settler takes half as many traces, from the front of the queue; after a successful one twice as
many. A batch of one trace that fails names the trace: the settler leaves it out for ten minutes, then tries it again.
"""

import logging
import time
from collections.abc import Callable, Sequence

from spanledger.ledger.copy_lookup import Trace

log = logging.getLogger(__name__)

ASIDE_S = 600.0
_MOST_ASIDE = 1_000  # above it the fault is in settlement itself, so it is raised


class BatchFailed(Exception):
    """Reading or settling a batch raised an error other than StoreError. `traces`: the queued traces of the batch."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        super().__init__(f"{len(traces)} traces could not be settled")
        self.traces = traces


class Suspects:
    """Belongs to one settler."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most = 0  # traces of the next batch; 0: as many as fit
        self._aside: dict[Trace, float] = {}  # until when

    def failed(self, failure: BatchFailed) -> None:
        """Halves the next batch, or sets aside the only trace of this one. Raises `failure` above 1,000 of those."""
        if len(failure.traces) > 1:
            self._most = len(failure.traces) // 2
            return
        if len(self._aside) >= _MOST_ASIDE:
            raise failure
        tenant, trace_id = failure.traces[0]
        self._aside[tenant, trace_id] = self._clock() + ASIDE_S
        log.error(
            *("trace %s of tenant %s cannot be settled and is set aside for %d s", trace_id, tenant, ASIDE_S),
            exc_info=failure.__cause__,
        )

    def succeeded(self, most: int) -> None:
        """Doubles the next batch, up to `most`."""
        self._most = 0 if 2 * self._most >= most else 2 * self._most

    def limit(self, most: int) -> int:
        """How many traces the next batch takes, `most` at most."""
        return min(most, self._most) if self._most else most

    def aside(self) -> list[Trace]:
        """The traces that the next batch leaves out."""
        now = self._clock()
        self._aside = {trace: until for trace, until in self._aside.items() if until > now}
        return list(self._aside)
