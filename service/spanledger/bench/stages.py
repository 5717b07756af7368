"""What ClickHouse alone can do with the same bytes, and what each stage behind the door costs, in a process of its own.

`python -m spanledger.bench.stages FOLDER` prints its figures as JSON.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE
from spanledger.ingest import decode, records, spool
from spanledger.ingest.feed import FileFeed, Load
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import Store, open_embedded

_SPANS_PER_REQUEST = 1024
_LIMIT_SPANS = 400_000
_STAGE_SPANS = 150_000
_SEGMENTS_PER_BATCH = 2
_TRACES = decode.TARGETS["traces"][0]


def measure(folder: Path) -> dict[str, Any]:
    """The figures, from a process that ends with them."""
    command = [sys.executable, "-m", __name__, str(folder)]
    figures: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return figures


def _measure(folder: Path) -> dict[str, Any]:
    segments, spans, size = _write_segments(folder, _LIMIT_SPANS)
    bare = _store(folder / "bare", views=False)
    seconds, cpu = zip(*(_timed(lambda: _insert(bare, segments)) for _ in range(3)), strict=True)
    some = segments[: max(1, len(segments) * _STAGE_SPANS // _LIMIT_SPANS)]
    share = sum(path.stat().st_size for path in some) / sum(path.stat().st_size for path in segments)
    decoding = _timed(lambda: _check(bare, some))[1]
    bare.close()
    return {
        "limit": {
            "spans_per_s": round(spans / min(seconds)),
            "bytes_per_span": round(size / spans),
            "cpu_us_per_span": round(min(cpu) / spans * 1e6, 1),
        },
        "stages_cpu_us_per_span": _stages(folder, some, spans * share, decoding, min(cpu) * share),
    }


def _stages(folder: Path, segments: list[Path], spans: float, decoding: float, inserting: float) -> dict[str, float]:
    """Each stage is the difference to the run without it."""
    full = _store(folder / "full", views=True)
    with_views = _timed(lambda: _insert(full, segments))[1]
    settling = _timed(Ledger(full, Settings(data_dir=folder / "full")).settler.settle_now)[1]
    full.close()
    seconds = {
        "decode": decoding,
        "insert": inserting - decoding,
        "views": with_views - inserting,
        "settlement": settling,
    }
    return {name: round(value / spans * 1e6, 1) for name, value in seconds.items()}


def _store(folder: Path, views: bool) -> Store:
    store = open_embedded(folder)
    if views:
        migrate.migrate(store)
    else:
        for migration in migrate.files("migrations"):
            if migration.name.endswith("_" + _TRACES.table):
                store.command(migration.statement)
    return store


def _insert(store: Store, segments: list[Path]) -> None:
    """As the loader does it."""
    for number in range(0, len(segments), _SEGMENTS_PER_BATCH):
        batch = f"{time.time_ns()}"
        FileFeed(store).insert(Load(_TRACES, segments[number : number + _SEGMENTS_PER_BATCH], batch, batch))


def _check(store: Store, segments: list[Path]) -> None:
    for number in range(0, len(segments), _SEGMENTS_PER_BATCH):
        FileFeed(store).check(_TRACES, segments[number : number + _SEGMENTS_PER_BATCH])


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds and CPU seconds of all threads."""
    cpu, started = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


def _write_segments(folder: Path, spans: int) -> tuple[list[Path], int, int]:
    """Segments as the spool has them, their spans and the bytes of their bodies."""
    rng = random.Random(3)
    bodies = [Body(rng, _SPANS_PER_REQUEST // SPANS_PER_TRACE) for _ in range(16)]
    segments: list[Path] = []
    size = written = 0
    while written < spans:
        path = folder / f"limit-{len(segments)}.seg"
        with path.open("wb") as file:
            while written < spans and file.tell() < spool.SEGMENT_BYTES:
                body = rng.choice(bodies)
                data = body.fresh()
                file.writelines(records.frame(data, time.time_ns() // 1_000_000, ""))
                written += body.spans
                size += len(data)
        segments.append(path)
    return segments, written, size


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]))))
