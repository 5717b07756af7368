"""What watches a running service: the live stream, the runs that an earlier process lost, and the canaries."""

import asyncio
import contextlib
import logging

from spanledger.errors import SpanledgerError, StoreError
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.live import Live
from spanledger.live.lost import mark_lost
from spanledger.runtime.canaries import Canaries
from spanledger.runtime.stalls import Stalls
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry
from spanledger.workflows import Runner

SERVICE = "spanledger"  # our own service.name
_CATCH_UP_S = 30.0
_log = logging.getLogger(__name__)


class Watch:
    """Belongs to one event loop. `instance` is the name of this process, which begins with that of its node."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        ledger: Ledger,
        ingest: Ingest,
        telemetry: Telemetry,
        runner: Runner,
        instance: str,
    ) -> None:
        self._settings, self._store = settings, store
        self._ledger, self._ingest, self._telemetry = ledger, ingest, telemetry
        self._instance = instance
        self.live = Live(SERVICE, store, self._catch_up, instance)
        telemetry.listen(self.live.hearing)
        ledger.settler.on_posted(self.live.wake)
        self.canaries = Canaries(ingest, store, telemetry, runner if settings.plays("chat") else None)
        self.stalls = Stalls()
        self.stalls.report(telemetry.meter("spanledger.loop"))
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins watching."""
        self.live.start()
        self.stalls.start()
        if not self._settings.plays("ingest"):
            return
        self._tasks.append(asyncio.create_task(self._end_lost_runs()))
        if self._settings.canary_interval_s:
            singing = self.canaries.keep_singing(self._settings.canary_interval_s)
            self._tasks.append(asyncio.create_task(singing))

    async def stop(self) -> None:
        self.stalls.stop()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(self.live.close)

    async def _end_lost_runs(self) -> None:
        try:
            found = await asyncio.to_thread(self._mark_lost)
        except SpanledgerError as exc:
            _log.error("runs that an earlier process lost could not be looked for: %s", exc)
            return
        if found:
            _log.warning("%d runs of an earlier process had not ended; they count as abandoned", found)

    def _mark_lost(self) -> int:
        if not self._ingest.flush(_CATCH_UP_S):
            raise StoreError("not everything that was sent before could be loaded")
        return mark_lost(self._store, self._telemetry, SERVICE, self._instance.rpartition("-")[0], self._instance)

    def _catch_up(self) -> None:
        """What was emitted here or acknowledged can be read, and what was posted too. Raises StoreError."""
        self._telemetry.flush(only="spans")
        if not self._ingest.flush(_CATCH_UP_S):
            raise StoreError("what happened last cannot be read yet; try again")
        if self._settings.plays("settle"):
            self._ledger.settler.settle_now()
