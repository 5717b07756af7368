"""Handles one request body of either protocol: decompress, check, store, answer."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spanledger.ingest.answers import Answer, Encoding
from spanledger.ingest.bodies import Bodies, Ready
from spanledger.ingest.masking import Masking
from spanledger.ingest.reader import Reader
from spanledger.ingest.room import Room
from spanledger.ingest.senders import Sender
from spanledger.ingest.signals import Signal
from spanledger.ingest.spool import SpoolFull, Writer
from spanledger.ingest.turns import TooManyWaiting, Turns

_ENCODINGS: dict[str, Encoding] = {
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/json": "json",
}

log = logging.getLogger(__name__)


def encoding_of(content_type: str) -> Encoding | None:
    """The encoding that a Content-Type names; None for one that OTLP does not know."""
    return _ENCODINGS.get(content_type.partition(";")[0].strip().lower())


@dataclass
class Counts:
    """Since the process started. `answers` counts requests by HTTP status, `senders` by `<key id>/<status>`; the others
    count items by signal."""

    answers: Counter[int] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)  # texts by rule
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "answers": dict(self.answers),
            "senders": dict(self.senders),
            "accepted": dict(self.accepted),
            "rejected": dict(self.rejected),
            "masked": dict(self.masked),
            "bytes": self.bytes,
        }


class Door:
    """One per process, used by one thread. `reader`: reads heavy bodies in a process of its own; without one a thread
    of this process does."""

    def __init__(
        self, writer: Writer, room: Room, max_body_bytes: int, masking: Masking, reader: Reader | None = None
    ) -> None:
        self._writer = writer
        self._room = room
        self._bodies = Bodies(max_body_bytes, masking)
        self._reader = reader
        self.max_body_bytes = max_body_bytes
        self.counts = Counts()
        self._turns: Turns | None = None
        self._heavy_turns: Turns | None = None

    def accept(
        self,
        signal: Signal,
        body: bytes,
        encoding: Encoding,
        content_encoding: str = "",
        tenant: str = "",
        *,
        is_ours: bool = False,
    ) -> Answer:
        """Stores a request body and says what to answer. With fsync durability the caller syncs before it answers.

        `is_ours`: the sender may use the names of our own scopes (`claims`).
        """
        return self.store(signal, self._bodies.read(signal, body, encoding, content_encoding, is_ours), tenant)

    async def accept_in_turn(
        self, sender: Sender, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str = ""
    ) -> tuple[Answer, int]:
        """The same without holding up the event loop, and how many bytes the body had when it was decompressed.

        The event loop reads light bodies, a thread reads usual batches, and the reader process reads heavy bodies; the
        last two in the sender's turn.
        """
        finding = self._bodies.read_light(signal, body, encoding, content_encoding, sender.is_ours)
        if finding is None:
            try:
                finding = await self._in_turn(sender, signal, body, encoding, content_encoding)
            except TooManyWaiting as exc:
                finding = Answer(429, str(exc), retry_after=1)
        answer = self.store(signal, finding, sender.tenant)
        return answer, finding.plain_bytes if isinstance(finding, Ready) else len(body)

    async def _in_turn(
        self, sender: Sender, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str
    ) -> Ready | Answer:
        if self._turns is None or self._heavy_turns is None:
            self._turns = Turns()
            self._heavy_turns = Turns(spent=self._reader.cpu_s) if self._reader is not None else Turns()
        if encoding == "protobuf":
            finding = await self._turns.take(
                sender.key_id, lambda: self._bodies.read_usual(signal, body, content_encoding, sender.is_ours)
            )
            if finding is not None:
                return finding
        read = self._reader.read if self._reader is not None else self._bodies.read
        return await self._heavy_turns.take(
            sender.key_id, lambda: read(signal, body, encoding, content_encoding, sender.is_ours)
        )

    def close(self) -> None:
        """Ends the process that reads heavy bodies."""
        for turns in (self._turns, self._heavy_turns):
            if turns is not None:
                turns.close()
        if self._reader is not None:
            self._reader.close()

    def store(self, signal: Signal, finding: Ready | Answer, tenant: str) -> Answer:
        """Puts what was read into the spool and counts the answer."""
        try:
            answer = finding if isinstance(finding, Answer) else self._store(signal, finding, tenant)
        except Exception:
            log.exception("a request body met an error of ours; it was not stored")
            answer = Answer(500, "the body could not be handled; this is an error of the receiver")
        self.counts.answers[answer.status] += 1
        self.counts.accepted[signal.name] += answer.accepted
        self.counts.rejected[signal.name] += answer.rejected
        return answer

    def too_large(self) -> Answer:
        return self._bodies.too_large()

    def _store(self, signal: Signal, ready: Ready, tenant: str) -> Answer:
        if ready.items:
            try:
                self._room.admit(len(ready.body))
                self._writer.append(signal.name, ready.body, tenant, ready.items)
            except SpoolFull as exc:
                return Answer(503, str(exc), retry_after=exc.retry_after)
        self.counts.bytes += len(ready.body)
        self.counts.masked += ready.masked
        unread = ready.faults
        if not unread.reasons:
            return Answer(200, ready.reason, accepted=ready.items, rejected=ready.rejected)
        if not ready.items:
            message = f"not an OTLP/JSON {signal.name} request: {unread.reasons[0]}"
            return Answer(400, message, rejected=unread.rejected)
        reason = f"{unread.reasons[0]}; {ready.reason}" if ready.reason else unread.reasons[0]
        return Answer(200, reason, accepted=ready.items, rejected=ready.rejected + unread.rejected)
