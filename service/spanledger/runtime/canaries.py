"""The canaries of a running service: every so often a span from write to read, and a small run of a workflow.

Both have a tenant of their own, so no other tenant's figures contain them. A failure raises a health event at once, and
`/readyz` reports it until a canary succeeds.
"""

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spanledger.access import Principal
from spanledger.errors import SpanledgerError, public_message
from spanledger.runtime import canary
from spanledger.stats.fields import rfc3339
from spanledger.telemetry import Telemetry, audit
from spanledger.workflows import Completion, Order

if TYPE_CHECKING:
    from spanledger.ingest.service import Ingest
    from spanledger.store.client import Store
    from spanledger.workflows import Runner

_RUN_TIMEOUT_S = 30.0
_AGAIN_S = 5.0  # after a failure, so that the service is ready again soon
_QUESTION = "canary: 2 + 2?"
_log = logging.getLogger(__name__)


class Canaries:
    """`last` is what the last ones came to: `{at, ok, readable_after_ms, workflow: {ok, took_ms}}`; before: None."""

    def __init__(self, ingest: "Ingest", store: "Store", telemetry: Telemetry, runner: "Runner | None" = None) -> None:
        self._ingest, self._store, self._telemetry, self._runner = ingest, store, telemetry, runner
        self._one_at_a_time = asyncio.Lock()
        self._trouble = asyncio.Event()  # set while the last one is a failure
        self.last: dict[str, Any] | None = None

    @property
    def problem(self) -> str:
        """What is wrong; empty: nothing, or nothing known yet."""
        return "" if self.last is None or self.last["ok"] else f"canary: {self.last['detail']}"

    async def sing(self, workflow: bool = True) -> dict[str, Any]:
        """Runs both now, or the span alone; also the result."""
        async with self._one_at_a_time:
            at = rfc3339(datetime.now(UTC))
            span = await asyncio.to_thread(self._span)
            if self.last is None:  # the workflows may take seconds to load
                self.last = {"at": at, **span}
            run = await self._run() if workflow and self._runner is not None else None
            failed = [part for part in (span, run) if part is not None and not part["ok"]]
            result = {"at": at, **span, **({"workflow": run} if run is not None else {}), "ok": not failed}
            if failed:
                result["detail"] = "; ".join(part["detail"] for part in failed)
            self._tell(result)
            self.last = result
            (self._trouble.set if failed else self._trouble.clear)()
        return result

    async def keep_singing(self, interval_s: float) -> None:
        """Runs canaries until it is cancelled; sooner after a failure, also of a canary that a request started. The
        workflow runs only when the workflows are loaded already, which the first message does."""
        while True:
            try:
                await self.sing(workflow=self._runner is not None and self._runner.is_loaded)
            except Exception:  # noqa: BLE001 — whatever a canary dies of, the next one must sing
                _log.exception("a canary could not be sent")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._trouble.wait()
                    await asyncio.sleep(_AGAIN_S)

    def _span(self) -> dict[str, Any]:
        try:
            return {"ok": True, "readable_after_ms": canary.run(self._ingest, self._store)}
        except SpanledgerError as exc:
            return {"ok": False, "detail": public_message(exc)}

    async def _run(self) -> dict[str, Any]:
        assert self._runner is not None
        order = Order(
            principal=Principal(tenant=canary.TENANT),
            conversation_id="canary",
            source="canary",
            workflow="chat",
            model="offline/small",
        )
        try:
            await self._runner.warm()
            started = time.monotonic()
            async with asyncio.timeout(_RUN_TIMEOUT_S):
                outcome = await self._runner.complete(Completion(order, [{"role": "user", "content": _QUESTION}]))
        except TimeoutError:
            return {"ok": False, "detail": f"the workflow did not answer within {_RUN_TIMEOUT_S:.0f} s"}
        except Exception as exc:  # noqa: BLE001 — it is what the canary is for
            return {"ok": False, "detail": f"the workflow failed: {public_message(exc)}"}
        if not outcome.reply.message.get("content"):
            return {"ok": False, "detail": "the workflow answered nothing"}
        return {"ok": True, "took_ms": round((time.monotonic() - started) * 1000)}

    def _tell(self, result: dict[str, Any]) -> None:
        """Of a failure, and of the first success after one."""
        if not result["ok"]:
            _log.error("the canary failed: %s", result["detail"])
            audit.record(self._telemetry, audit.HEALTH, "canary", "failed", detail=result["detail"])
        elif self.problem:
            audit.record(self._telemetry, audit.HEALTH, "canary", "recovered")
