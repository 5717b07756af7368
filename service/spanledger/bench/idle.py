"""What an `up` costs that receives nothing: CPU, bytes on disk, rows and memory; then what its first message takes."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from spanledger.bench.system import System, resident_kib

_WARM_UP_S = 60.0  # what follows a start by itself has happened by then
_TELL_EVERY_S = 60.0
_DAY_S = 86_400


def run(minutes: float = 10.0) -> dict[str, Any]:
    """Figures. CPU is user and system time of all processes, in percent of one core."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-idle-"))
    data_dir = folder / "data"
    try:
        started = time.monotonic()
        with System(data_dir) as system:
            ready_s = time.monotonic() - started
            start_cpu_s = sum(system.cpu_seconds().values())
            rows = _rows(system)
            time.sleep(_WARM_UP_S)
            idle = _idle(system, data_dir, minutes * 60)
            grown = {name: count - rows[name] for name, count in _rows(system).items()}
            first = _first_message(system)
            stopping = time.monotonic()
        return {
            "minutes": minutes,
            "ready_s": round(ready_s, 1),
            "ready_cpu_s": round(start_cpu_s, 1),
            **idle,
            "rows_grown": grown,
            **first,
            "stop_s": round(time.monotonic() - stopping, 1),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _idle(system: System, data_dir: Path, seconds: float) -> dict[str, Any]:
    cpu, size, began = system.cpu_seconds(), _bytes_on_disk(data_dir), time.monotonic()
    memory = _memory_mib(system)
    while (elapsed := time.monotonic() - began) < seconds:
        used = sum(system.cpu_seconds().values()) - sum(cpu.values())
        print(
            f"bench idle: {elapsed / 60:.0f} of {seconds / 60:g} min, {used:.1f} s of CPU", file=sys.stderr, flush=True
        )
        time.sleep(min(_TELL_EVERY_S, seconds - elapsed))
    took = time.monotonic() - began
    after = system.cpu_seconds()
    grown = _bytes_on_disk(data_dir) - size
    shares = {name: round(100 * (after[name] - cpu.get(name, 0.0)) / took, 2) for name in after}
    return {
        "cpu_percent_of_a_core": {**shares, "total": round(sum(shares.values()), 2)},
        "disk_bytes_grown": grown,
        "disk_mb_per_day": round(grown / took * _DAY_S / 1e6, 2),
        "memory_mib_before_first_message": {"start": memory, "end": _memory_mib(system)},
    }


def _first_message(system: System) -> dict[str, Any]:
    """With the offline provider: the loading of the model library is what it waits for."""
    times, cpu = [], sum(system.cpu_seconds().values())
    for _ in range(2):
        began = time.monotonic()
        message = {"content": "What is 12 * 7?", "user_id": "bench"}
        system.client.post("/v1/conversations/idle/messages", json=message).raise_for_status()
        times.append(round(time.monotonic() - began, 2))
    return {
        "first_message_s": times[0],
        "first_message_cpu_s": round(sum(system.cpu_seconds().values()) - cpu, 1),
        "second_message_s": times[1],
        "memory_mib_after_first_message": _memory_mib(system),
    }


def _rows(system: System) -> dict[str, int]:
    """Spans, log records and data points that are in ClickHouse."""
    return dict(system.health()["ingest"]["loaded"])


def _memory_mib(system: System) -> dict[str, int]:
    return {name: resident_kib(pid) // 1024 for name, pid in system.processes().items()}


def _bytes_on_disk(folder: Path) -> int:
    """What the file system holds for it; files that go meanwhile count as gone."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total
