"""Reads a request body: decompresses, bounds, checks, repairs and masks it. It has no side effects, so it runs in the
event loop, on a thread or in the reader process alike."""

import logging
from collections import Counter
from dataclasses import dataclass, field, replace

from spanledger.ingest import claims, elements, inflate, otlp_json
from spanledger.ingest.answers import Answer, Encoding
from spanledger.ingest.canonical import canonical, canonical_part
from spanledger.ingest.masking import Masking
from spanledger.ingest.probe import probe
from spanledger.ingest.signals import Signal

_LIGHT_BYTES = 256 * 1024
_USUAL_BYTES = 4 * 1024 * 1024  # each of the steps holds the interpreter's lock for less than 20 ms

log = logging.getLogger(__name__)


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


class Bodies:
    """Reads bodies of up to `max_body_bytes`. An Answer refuses a body."""

    def __init__(self, max_body_bytes: int, masking: Masking) -> None:
        self._max_body_bytes = max_body_bytes
        self._masking = masking

    def read(
        self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str, is_ours: bool = False
    ) -> Ready | Answer:
        """Any body. `is_ours`: the sender may use the names of our own scopes (`claims`)."""
        try:
            finding = self._read(signal, body, encoding, content_encoding.strip().lower())
            return finding if is_ours or isinstance(finding, Answer) else _marked(signal, finding)
        except elements.TooMany as exc:
            return Answer(413, str(exc))
        except Exception:  # one body's fault must stay its sender's
            log.exception("a request body met an error of ours; it was not stored")
            return Answer(500, "the body could not be handled; this is an error of the receiver")

    def read_light(
        self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str, is_ours: bool
    ) -> Ready | Answer | None:
        """A body that takes some milliseconds at most; None for any other."""
        plain = _inflated(body, content_encoding, _LIGHT_BYTES)
        if plain is None or elements.at_most(signal, plain, encoding == "json") > elements.LIGHT:
            return None
        return self.read(signal, plain, encoding, "", is_ours)

    def read_usual(self, signal: Signal, body: bytes, content_encoding: str, is_ours: bool) -> Ready | None:
        """A protobuf body of up to 4 MiB that can be stored as it was sent; None for any other."""
        plain = _inflated(body, content_encoding, _USUAL_BYTES)
        if plain is None or elements.at_most(signal, plain, False) > elements.MOST_ITEMS:
            return None
        finding = probe(signal.name, plain)
        if finding is None or not finding.plain or self._masking.could_match(plain):
            return None
        ready = Ready(plain, finding.items, 0, "", otlp_json.Faults(), len(plain))
        return ready if is_ours or not claims.could_claim(signal, plain) else None

    def too_large(self) -> Answer:
        return Answer(413, f"the body is larger than {self._max_body_bytes} bytes; send smaller batches")

    def _read(self, signal: Signal, body: bytes, encoding: Encoding, content_encoding: str) -> Ready | Answer:
        if not inflate.supported(content_encoding):
            return Answer(415, f"Content-Encoding {content_encoding!r} is not supported: use gzip, zstd or deflate")
        try:
            plain = inflate.inflate(body, content_encoding, self._max_body_bytes)
        except inflate.TooBig:
            return self.too_large()
        except inflate.Damaged as exc:
            return Answer(400, f"the body is not valid {content_encoding}: {exc}")
        if len(plain) > self._max_body_bytes:
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
    ) -> Ready:
        masked: Counter[str] = Counter()
        return Ready(self._masking.mask(signal, body, masked), items, rejected, reason, faults, size, masked)


def _marked(signal: Signal, ready: Ready) -> Ready:
    return replace(ready, body=claims.marked(signal, ready.body))


def _inflated(body: bytes, content_encoding: str, limit: int) -> bytes | None:
    """The body without its content encoding, None where it is larger or cannot be decompressed."""
    try:
        plain = inflate.inflate(body, content_encoding.strip().lower(), limit)
    except (inflate.TooBig, inflate.Damaged, KeyError):
        return None
    return plain if len(plain) <= limit else None
