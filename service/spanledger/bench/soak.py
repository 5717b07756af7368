"""Whether memory stays flat: an even load for long, and the resident memory of every process, sampled each second."""

import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from spanledger.bench import sender
from spanledger.bench.sender import Plan, sending
from spanledger.bench.system import System, resident_kib

_WITHIN = 0.10  # of the second quarter the last one may differ; the first is for warming up
_EVERY_S = 1.0
_TELL_EVERY_S = 30.0

Samples = dict[str, list[float]]  # MiB, by process


def run(minutes: float = 20.0, spans_per_s: float = 10_000.0, roles: str = "") -> dict[str, Any]:
    """Figures, `flat` among them. `load_share`: the share of the requested load that was sent and acknowledged."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-soak-"))
    try:
        with System(folder / "data", roles=roles) as system:
            plan = Plan(system.endpoint("http"), seconds=minutes * 60, spans_per_s=spans_per_s)
            with sending(plan) as process:
                samples = _sample(system, minutes * 60)
                sent = sender.report(process)
            state = system.health()  # as the load left it: settling the rest may take long, and is not what is measured
        return {
            "minutes": minutes,
            "spans": sent.spans,
            "spans_per_s": round(sent.spans / sent.seconds),
            "load_share": round(sent.spans / (minutes * 60 * spans_per_s), 3),
            "refused_requests": sent.refused,
            "loaded_at_the_end": state["ingest"]["loaded"]["traces"],
            "settled_at_the_end": state["settlement"]["spans"],
            "spool_bytes_at_the_end": state["ingest"]["spool_bytes"],
            "worker_restarts": state["ingest"]["worker_restarts"],
            "memory_mib": {name: _summary(values) for name, values in samples.items()},
            "flat": all(_summary(values)["flat"] for values in samples.values()),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sample(system: System, seconds: float) -> Samples:
    """One value a second and process, and their sum."""
    samples: Samples = defaultdict(list)
    started = time.monotonic()
    tell_at = 0.0
    while (elapsed := time.monotonic() - started) < seconds:
        now = {name: resident_kib(pid) / 1024 for name, pid in system.processes().items()}
        for name, value in (now | {"total": sum(now.values())}).items():
            samples[name].append(value)
        if elapsed >= tell_at:
            tell_at += _TELL_EVERY_S
            shown = ", ".join(f"{name} {value:.0f}" for name, value in now.items())
            print(f"bench soak: {elapsed / 60:.1f} of {seconds / 60:g} min, MiB: {shown}", file=sys.stderr, flush=True)
        time.sleep(_EVERY_S)
    return samples


def _summary(values: list[float]) -> dict[str, Any]:
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
