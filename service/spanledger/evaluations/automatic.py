"""Evaluates a share of all runs by itself: after the answer, in the background, with the content in hand.

By default spans have no content, so a run can only be judged right after it ended.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from spanledger.access import Principal
from spanledger.evaluations.evaluators import Evaluator, Evaluators
from spanledger.evaluations.recent import about
from spanledger.evaluations.verdict import Exchange
from spanledger.telemetry.evaluation import About
from spanledger.workflows import Runner
from spanledger.workflows.model import Message
from spanledger.workflows.run import Order, Run

QUEUE = 1_000  # waiting evaluations; beyond it they are dropped and counted
WORKERS = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    tenant: str
    evaluator: Evaluator
    exchange: Exchange
    about: About


class Automatic:
    """A gate that lets everything through. `start` on the runner's event loop, then `stop`."""

    def __init__(self, evaluators: Evaluators) -> None:
        self._evaluators = evaluators
        self._queue: asyncio.Queue[_Task] = asyncio.Queue(QUEUE)
        self._workers: list[asyncio.Task[None]] = []
        self.dropped = 0

    async def start(self, runner: Runner) -> None:
        self._workers = [asyncio.create_task(self._work(runner), name="evaluation") for _ in range(WORKERS)]

    async def stop(self) -> None:
        """What waits is dropped, and counted: judging may cost minutes and money."""
        self.dropped += self._queue.qsize()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    @asynccontextmanager
    async def admit(self, order: Order, run: Run) -> AsyncIterator[None]:
        yield
        if run.reply is None or run.context is None or not order.for_people:
            return
        exchange = Exchange(question_of(run.messages), str(run.reply.message.get("content") or ""))
        tenant = order.principal.tenant
        for evaluator in self._evaluators.listed(tenant):
            if evaluator.workflow in ("", order.workflow) and sampled(evaluator, order.message_id):
                self._put(_Task(tenant, evaluator, exchange, about(order, run)))

    def _put(self, task: _Task) -> None:
        try:
            self._queue.put_nowait(task)
        except asyncio.QueueFull:
            self.dropped += 1
            if self.dropped % QUEUE == 1:
                _log.warning("evaluations come faster than they can be made; %d were dropped so far", self.dropped)

    async def _work(self, runner: Runner) -> None:
        while True:
            task = await self._queue.get()
            try:
                principal = Principal(tenant=task.tenant)
                await self._evaluators.evaluate(runner, principal, task.evaluator, task.exchange, task.about)
            except Exception:  # noqa: BLE001 — one failure must not end all other evaluations
                _log.exception("evaluator %s failed", task.evaluator.name)


def sampled(evaluator: Evaluator, message_id: str) -> bool:
    """By the message's id, so that asking twice decides the same."""
    digest = hashlib.sha256(f"{evaluator.name}\0{message_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < evaluator.sample_rate * 2**64


def question_of(messages: Sequence[Message]) -> str:
    """The text of the last question."""
    content = next((m.get("content") for m in reversed(messages) if m.get("role") == "user"), "")
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")
