"""The live pass: mood and topics of each message, by rules, after it was answered and never on its path.

The gate only puts the texts on a bounded queue; a thread reads it. What does not fit is dropped and counted.
"""

import json
import logging
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel

from spanledger.analysis import rules
from spanledger.telemetry import Telemetry, ids
from spanledger.workflows import Order
from spanledger.workflows.run import Run

EVENT: Final = "spanledger.analysis"
QUEUE_SIZE = 10_000
_SOURCES = frozenset({"chat", "job"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Said:
    context: otel.Context
    question: str
    answered: str


class LivePass:
    """A gate that lets everything through; `start` begins to read what it noted, `close` ends it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._queue: queue.Queue[_Said | None] = queue.Queue(QUEUE_SIZE)
        self._thread = threading.Thread(target=self._read, name="live-pass", daemon=True)
        self.dropped = 0
        self.failed = 0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What is noted is still read."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(5)

    @asynccontextmanager
    async def admit(self, order: Order, run: Run) -> AsyncIterator[None]:
        yield
        if run.reply is None or not order.conversation_id or order.source not in _SOURCES:
            return
        question = next((m.get("content") for m in reversed(run.messages) if m.get("role") == "user"), "")
        turn = _Said(
            run.context or otel.get_current(), str(question or ""), str(run.reply.message.get("content") or "")
        )
        try:
            self._queue.put_nowait(turn)
        except queue.Full:
            self.dropped += 1

    def _read(self) -> None:
        while (turn := self._queue.get()) is not None:
            try:
                self._tell(turn)
            except Exception:  # noqa: BLE001 — one text that the rules cannot read must not end the pass
                self.failed += 1
                _log.exception("a message could not be analysed")

    def _tell(self, turn: _Said) -> None:
        """A log record in the message's trace, with its ids."""
        mood, score = rules.sentiment(turn.question)
        facts: dict[str, str | float] = {
            "spanledger.analysis.sentiment": mood,
            "spanledger.analysis.sentiment.score": score,
        }
        if self._telemetry.capture_content:
            topics = rules.topics([turn.question, turn.answered])
            facts["spanledger.analysis.topics"] = json.dumps(topics, ensure_ascii=False)
        token = otel.attach(turn.context)
        try:
            known = ids.current()
            self._telemetry.event(EVENT, f"message {known.message_id} is {mood}", facts)
        finally:
            otel.detach(token)
