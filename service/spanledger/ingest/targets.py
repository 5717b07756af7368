"""The tables that a batch has rows for: each insert has a price of its own, however little it brings."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from spanledger.ingest import records
from spanledger.ingest.decode import TARGETS, Target
from spanledger.ingest.probe import metric_kinds


def of(signal: str, segments: Iterable[Path]) -> Sequence[Target]:
    """Those of a signal; of metrics, those whose kind of points is in the segments. Raises OSError."""
    if signal != "metrics":
        return TARGETS[signal]
    found: set[str] = set()
    for segment in segments:
        for message in records.messages(segment.read_bytes()):
            try:
                found |= metric_kinds(message)
            except DecodeError:  # the insert will name what is wrong with it
                return TARGETS[signal]
    return [target for target in TARGETS[signal] if target.kind in found]
