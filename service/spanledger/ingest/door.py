"""What happens to one request body, whichever way it came: decompress, check, store, answer."""

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from spanledger.ingest import inflate, otlp_json
from spanledger.ingest.answers import Answer, Encoding
from spanledger.ingest.canonical import canonical
from spanledger.ingest.probe import probe
from spanledger.ingest.room import Room
from spanledger.ingest.signals import Signal
from spanledger.ingest.spool import SpoolFull, Writer

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
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "answers": dict(self.answers),
            "senders": dict(self.senders),
            "accepted": dict(self.accepted),
            "rejected": dict(self.rejected),
            "bytes": self.bytes,
        }


class Door:
    """One per process, used by one thread."""

    def __init__(self, writer: Writer, room: Room, max_body_bytes: int) -> None:
        self._writer = writer
        self._room = room
        self.max_body_bytes = max_body_bytes
        self.counts = Counts()

    def accept(
        self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str = "", tenant: str = ""
    ) -> Answer:
        """Stores a request body and says what to answer. With fsync durability the caller syncs before it answers."""
        try:
            answer = self._accept(signal, body, encoding, content_encoding.strip().lower(), tenant)
        except Exception:  # one body's fault must stay its sender's
            log.exception("a request body met an error of ours; it was not stored")
            answer = Answer(500, "the body could not be handled; this is an error of the receiver")
        self.counts.answers[answer.status] += 1
        self.counts.accepted[signal.name] += answer.accepted
        self.counts.rejected[signal.name] += answer.rejected
        return answer

    def _accept(self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str, tenant: str) -> Answer:
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
        faults: otlp_json.Faults = []
        if encoding == "json":
            try:
                plain = otlp_json.to_protobuf(signal, plain, faults)
            except otlp_json.BadJson as exc:
                return Answer(400, f"not an OTLP/JSON {signal.name} request: {exc}")
        answer = self._store(signal, plain, tenant)
        if not faults or not answer.ok:
            return answer
        if not answer.accepted:
            return Answer(400, f"not an OTLP/JSON {signal.name} request: {faults[0]}", rejected=len(faults))
        reason = f"{faults[0]}; {answer.message}" if answer.message else faults[0]
        return replace(answer, message=reason, rejected=answer.rejected + len(faults))

    def too_large(self) -> Answer:
        return Answer(413, f"the body is larger than {self.max_body_bytes} bytes; send smaller batches")

    def _store(self, signal: Signal, body: bytes, tenant: str) -> Answer:
        rejected, reason = 0, ""
        finding = probe(signal.name, body)
        if finding is not None and finding.plain:
            items = finding.items
        else:
            clean = canonical(signal, body)
            if clean is None:
                return Answer(400, f"not an OTLP {signal.name} request: the protobuf message is malformed")
            body, items, rejected, reason = clean.body, clean.items, clean.rejected, clean.reason
        if items:
            try:
                self._room.admit(len(body))
                self._writer.append(signal.name, body, tenant, items)
            except SpoolFull as exc:
                return Answer(503, str(exc), retry_after=exc.retry_after)
        self.counts.bytes += len(body)
        return Answer(200, reason, accepted=items, rejected=rejected)
