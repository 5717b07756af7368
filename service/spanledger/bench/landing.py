"""Lands request bodies in a store as the loader does, without a door."""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from spanledger.ingest import decode, records, spool
from spanledger.ingest.feed import FileFeed, Load
from spanledger.store.client import Store

_SEGMENTS_PER_BATCH = 2


def land(store: Store, bodies: Iterable[tuple[bytes, int]]) -> int:
    """Loads bodies, views included; each comes with the number of its spans. Returns how many spans there were."""
    spans = 0
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        segments: list[Path] = []
        file = None
        for body, count in bodies:
            if file is None or file.tell() >= spool.SEGMENT_BYTES:
                if file is not None:
                    file.close()
                segments.append(Path(folder) / f"landing-{len(segments)}.seg")
                file = segments[-1].open("wb")
            file.writelines(records.frame(body, time.time_ns() // 1_000_000, ""))
            spans += count
        if file is not None:
            file.close()
        for first in range(0, len(segments), _SEGMENTS_PER_BATCH):
            batch = f"{time.time_ns()}"
            some = segments[first : first + _SEGMENTS_PER_BATCH]
            FileFeed(store).insert(Load(decode.TARGETS["traces"][0], some, batch, batch))
    return spans
