"""Handles one request body of either protocol: decompress, check, store, answer."""

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from spanledger.ingest import claims, elements, inflate, otlp_json
from spanledger.ingest.answers import Answer, Encoding
from spanledger.ingest.canonical import canonical, canonical_part
from spanledger.ingest.masking import Masking
from spanledger.ingest.probe import probe
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

_LIGHT_BYTES = 256 * 1024

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
    """One per process, used by one thread but for `read`."""

    def __init__(self, writer: Writer, room: Room, max_body_bytes: int, masking: Masking) -> None:
        self._writer = writer
        self._room = room
        self._masking = masking
        self.max_body_bytes = max_body_bytes
        self.counts = Counts()
        self._turns: Turns | None = None

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
        return self.store(signal, self.read(signal, body, encoding, content_encoding, is_ours), tenant)

    async def accept_in_turn(
        self, sender: Sender, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str = ""
    ) -> tuple[Answer, int]:
        """The same without holding up the event loop, and how many bytes the body had when it was decompressed.

        What costs more than some milliseconds is read on a thread, in the sender's turn.
        """
        if self._turns is None:
            self._turns = Turns()
        finding: Ready | Answer
        light = self._light(signal, body, encoding, content_encoding.strip().lower())
        if light is not None:
            finding = self.read(signal, light, encoding, "", sender.is_ours)
        else:
            try:
                finding = await self._turns.take(
                    sender.key_id, lambda: self.read(signal, body, encoding, content_encoding, sender.is_ours)
                )
            except TooManyWaiting as exc:
                finding = Answer(429, str(exc), retry_after=1)
        answer = self.store(signal, finding, sender.tenant)
        return answer, finding.plain_bytes if isinstance(finding, Ready) else len(body)

    def _light(self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str) -> bytes | None:
        """The decompressed body if to read it costs some milliseconds at most."""
        try:
            plain = inflate.inflate(body, content_encoding, _LIGHT_BYTES)
        except (inflate.TooBig, inflate.Damaged, KeyError):
            return None
        fits = len(plain) <= _LIGHT_BYTES and elements.at_most(signal, plain, encoding == "json") <= elements.LIGHT
        return plain if fits else None

    def read(
        self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str, is_ours: bool = False
    ) -> "Ready | Answer":
        """Decompresses and checks a body; touches nothing else, so any thread may. An Answer refuses it."""
        try:
            finding = self._read(signal, body, encoding, content_encoding.strip().lower())
            if is_ours or isinstance(finding, Answer):
                return finding
            return replace(finding, body=claims.marked(signal, finding.body))
        except elements.TooMany as exc:
            return Answer(413, str(exc))
        except Exception:  # one body's fault must stay its sender's
            log.exception("a request body met an error of ours; it was not stored")
            return Answer(500, "the body could not be handled; this is an error of the receiver")

    def store(self, signal: Signal, finding: "Ready | Answer", tenant: str) -> Answer:
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

    def _read(self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str) -> "Ready | Answer":
        if not inflate.supported(content_encoding):
            return Answer(415, f"Content-Encoding {content_encoding!r} is not supported: use gzip, zstd or deflate")
        try:
            plain = inflate.inflate(body, content_encoding, self.max_body_bytes)
        except inflate.TooBig:
            return self.too_large()
        except inflate.Damaged as exc:
            return Answer(400, f"the body is not valid {content_encoding}: {exc}")
        if len(plain) > self.max_body_bytes:
            return self.too_large()
        if not plain:
            return Answer(200)
        faults = otlp_json.Faults()
        size = len(plain)
        if encoding == "json":
            elements.check_json(plain)
            try:
                plain = otlp_json.to_protobuf(signal, plain, faults)
            except otlp_json.BadJson as exc:
                return Answer(400, f"not an OTLP/JSON {signal.name} request: {exc}")
        elements.check(signal, plain)
        finding = probe(signal.name, plain)
        if finding is not None and finding.plain:
            return self._ready(signal, plain, finding.items, 0, "", faults, size)
        clean = canonical(signal, plain) or canonical_part(signal, plain)
        if clean is None:
            return Answer(400, f"not an OTLP {signal.name} request: the protobuf message is malformed")
        return self._ready(signal, clean.body, clean.items, clean.rejected, clean.reason, faults, size)

    def _ready(
        self, signal: Signal, body: bytes, items: int, rejected: int, reason: str, faults: otlp_json.Faults, size: int
    ) -> "Ready":
        masked: Counter[str] = Counter()
        return Ready(self._masking.mask(signal, body, masked), items, rejected, reason, faults, size, masked)

    def too_large(self) -> Answer:
        return Answer(413, f"the body is larger than {self.max_body_bytes} bytes; send smaller batches")

    def _store(self, signal: Signal, ready: "Ready", tenant: str) -> Answer:
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


@dataclass(frozen=True)
class Ready:
    """A body that can be stored. `plain_bytes`: its size as it was sent, decompressed. `masked`: texts by rule."""

    body: bytes
    items: int
    rejected: int
    reason: str
    faults: otlp_json.Faults
    plain_bytes: int
    masked: Counter[str] = field(default_factory=Counter)
