"""Whether memory stays flat: an even load for long, and the resident memory of every process, sampled each second."""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from spanledger.bench import sender
from spanledger.bench.sender import Plan, sending
from spanledger.bench.system import System, resident_kib

_WITHIN = 0.10  # of the second quarter the last one may differ; the first is for warming up
_EVERY_S = 1.0

Samples = dict[str, list[float]]  # MiB, by process


def run(minutes: float = 20.0, spans_per_s: float = 20_000.0) -> dict[str, Any]:
    """Figures, `flat` among them."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-soak-"))
    try:
        with System(folder / "data") as system:
            plan = Plan(system.endpoint("http"), seconds=minutes * 60, spans_per_s=spans_per_s)
            with sending(plan) as process:
                samples = _sample(system, minutes * 60)
                sent = sender.report(process)
            settled_s = system.settle()
            state = system.health()
        return {
            "minutes": minutes,
            "spans": sent.spans,
            "spans_per_s": round(sent.spans / sent.seconds),
            "refused_requests": sent.refused,
            "settled_after_s": round(settled_s, 1),
            "spool_bytes_at_the_end": state["ingest"]["spool_bytes"],
            "memory_mib": {name: _told(values) for name, values in samples.items()},
            "flat": all(_told(values)["flat"] for values in samples.values()),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sample(system: System, seconds: float) -> Samples:
    """One value a second and process, and their sum."""
    processes = system.processes()
    samples: Samples = {name: [] for name in (*processes, "total")}
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        now = {name: resident_kib(pid) / 1024 for name, pid in processes.items()}
        for name, value in (now | {"total": sum(now.values())}).items():
            samples[name].append(value)
        if len(samples["total"]) % 60 == 0:
            print(f"bench soak: {elapsed / 60:.0f} min, {sum(now.values()):.0f} MiB", file=sys.stderr, flush=True)
        time.sleep(_EVERY_S)
    return samples


def _told(values: list[float]) -> dict[str, Any]:
    """Means of the quarters, and whether the last is within bounds of the second."""
    size = max(1, len(values) // 4)
    quarters = [statistics.mean(values[start : start + size]) for start in range(0, size * 4, size)]
    drift = quarters[3] / quarters[1] - 1
    return {
        "quarters": [round(quarter) for quarter in quarters],
        "highest": round(max(values)),
        "drift": round(drift, 3),
        "flat": abs(drift) <= _WITHIN,
    }
