"""Recorded traffic for benchmarks: what real instrumentations sent, content included, again and again as new traffic.

Every copy of a recording gets trace, span, response, conversation and user ids of its own and times of its own. An id
is replaced wherever it stands, by one of the same length, so that spans that belonged together still do.
"""

import base64
import json
import random
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.errors import SettingsError
from spanledger.ingest.otlp_json import to_protobuf
from spanledger.ingest.signals import SIGNALS

_CHECKOUT = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "captures.tar.xz"
_RESPONSE_ID = re.compile(r"(?:chatcmpl|msg|resp|gen|call|toolu)[-_][0-9A-Za-z_]{8,}=*")
_WRAPPED = 80  # characters from which a response id is another one, wrapped
_HOUR_NS = 3_600_000_000_000
_HEX = frozenset(b"0123456789abcdef")


@dataclass(frozen=True)
class _Recording:
    """One scenario: its requests, and the ids in them."""

    bodies: tuple[bytes, ...]
    spans: int
    ids: tuple[bytes, ...]
    first_ns: int
    last_ns: int


def bodies(spans: int, captures: Path | None = None, seed: int = 1) -> Iterator[tuple[bytes, int]]:
    """Requests of at least `spans` spans together, and the number of spans in each.

    `captures`: a folder or .tar.xz of `<dialect>/<scenario>.truth.json` and the bodies that these name. Raises
    SettingsError when there are none.
    """
    known = [_recording(files, truth) for files, truth in _scenarios(captures or _CHECKOUT)]
    rng = random.Random(seed)
    sent = 0
    while sent < spans:
        rng.shuffle(known)
        for recording in known:
            yield from _copy(recording, rng)
            sent += recording.spans
            if sent >= spans:
                return


def _scenarios(place: Path) -> Iterator[tuple[dict[str, bytes], dict[str, Any]]]:
    files = _files(place)
    truths = [name for name in sorted(files) if name.endswith(".truth.json")]
    for name in truths:
        truth = json.loads(files[name])
        folder = name.rpartition("/")[0]
        truth["bodies"] = [b | {"file": f"{folder}/{b['file']}"} for b in truth["bodies"] if b["signal"] == "traces"]
        if truth["bodies"]:
            yield files, truth
    if not truths:
        raise SettingsError(f"{place} holds no recorded traffic (*.truth.json)")


def _files(place: Path) -> dict[str, bytes]:
    if place.is_dir():
        return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}
    try:
        with tarfile.open(place) as archive:
            return {m.name: found.read() for m in archive.getmembers() if (found := archive.extractfile(m))}
    except (OSError, tarfile.TarError) as exc:
        raise SettingsError(f"recorded traffic cannot be read from {place}: {exc}; give --captures") from exc


def _recording(files: dict[str, bytes], truth: dict[str, Any]) -> _Recording:
    requests, ids, times = [], set(), [0]
    for body in truth["bodies"]:
        data = files[body["file"]]
        request = ExportTraceServiceRequest()
        request.ParseFromString(to_protobuf(SIGNALS["traces"], data) if "json" in body["content_type"] else data)
        requests.append(request.SerializeToString())
        for span in _spans(request):
            ids |= {span.trace_id, span.span_id, span.trace_id.hex().encode(), span.span_id.hex().encode()}
            times += [span.start_time_unix_nano, span.end_time_unix_nano]
            texts = (item.value.string_value for one in (span, *span.events) for item in one.attributes)
            ids |= {found.encode() for text in texts for found in _RESPONSE_ID.findall(text)}
    ids |= {str(call.get("response_id") or "").encode() for call in truth.get("served", ())}
    ids |= {str(truth.get(name) or "").encode() for name in ("conversation_id", "user_id")}
    known = tuple(sorted((i for i in ids if len(i) >= 8), key=lambda i: (-len(i), i)))
    return _Recording(tuple(requests), (len(times) - 1) // 2, known, min(times[1:]), max(times))


def _spans(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def _copy(recording: _Recording, rng: random.Random) -> Iterator[tuple[bytes, int]]:
    fresh: dict[bytes, bytes] = {}
    for known in reversed(recording.ids):  # the short ones first: long ones may hold them
        fresh[known] = _fresh(known, fresh, rng)
    pattern = re.compile(b"|".join(map(re.escape, recording.ids)))
    later = time.time_ns() - recording.last_ns - rng.randrange(_HOUR_NS)
    for body in recording.bodies:
        request = ExportTraceServiceRequest()
        request.ParseFromString(pattern.sub(lambda found: fresh[found[0]], body))
        count = 0
        for span in _spans(request):
            span.start_time_unix_nano += later
            span.end_time_unix_nano += later
            for event in span.events:
                event.time_unix_nano += later
            count += 1
        yield request.SerializeToString(), count


def _fresh(known: bytes, others: dict[bytes, bytes], rng: random.Random) -> bytes:
    """An id of the same length and kind."""
    size = len(known)
    as_hex = bytes.fromhex(known.decode()) if size in (16, 32) and _HEX.issuperset(known) else None
    if as_hex is not None:
        return others.get(as_hex, b"").hex().encode() or rng.randbytes(size // 2).hex().encode()
    if size in (8, 16) and not known.isascii():
        return rng.randbytes(size)
    if known.startswith(b"resp_") and size > _WRAPPED:
        return _wrapped(known, others)
    return known[: size - 8] + rng.randbytes(4).hex().encode()


def _wrapped(known: bytes, others: dict[bytes, bytes]) -> bytes:
    text = known[5:].rstrip(b"=")
    try:
        inner = base64.b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return known
    for old, new in others.items():
        inner = inner.replace(old, new)
    again = base64.b64encode(inner).rstrip(b"=")
    return b"resp_" + again + known[5 + len(text) :] if len(again) == len(text) else known
