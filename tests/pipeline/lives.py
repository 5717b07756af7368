"""A life of a system on a data folder, and its violent end while something certain is going on."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from acknowledged import Senders
from spanledger.store import migrate
from system import System

WHOLE, BELOW_API = ["-m", "spanledger.cli", "up"], [str(Path(__file__).with_name("books_node.py"))]
PATIENCE_S = 900.0  # the first start after many lives settles what they left, on a machine that may have other work
_SIGN_S = 4.0  # of load, within which a sign is expected


@dataclass(frozen=True)
class End:
    """`moment`: what was going on. `start_s`: from the start of the process to its `ready`, if it came so far."""

    moment: str
    acknowledged: set[str] = field(default_factory=set)
    start_s: float = 0.0


def born(data_dir: Path, program: list[str]) -> System:
    """Not started yet. With ports of its own: the last life's may have been taken by somebody else meanwhile."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    system = System(data_dir)
    system.program, system.migrated = program, False
    system.timeout_s = system.start_s = PATIENCE_S
    return system


def kill_in_migration(system: System, rng: random.Random) -> End:
    """At a random file of the schema, in the first third of those that are left; `ready` if none was."""
    files = rng.randint(1, (len(migrate.files("migrations")) + len(migrate.files("views"))) // 3)
    system.launch()
    _until(lambda: len(system.printed) >= files or system.wait_ready(0), PATIENCE_S)
    time.sleep(rng.uniform(0.0, 0.03))
    system.kill()
    return End("ready" if system.is_ready else "migration")


def kill_in_start(system: System, rng: random.Random) -> End:
    """From the moment on in which it owns the data folder; `ready` if it was faster."""
    system.launch()
    _until(lambda: _owns(system), PATIENCE_S)
    system.wait_ready(rng.uniform(0.0, 1.5))
    system.kill()
    return End("ready" if system.is_ready else "start")


def kill_under_load(system: System, rng: random.Random, moment: str) -> End:
    """While it stores, loads, merges, stops or replaces its door; `write` where the sign of `moment` is missing."""
    began = time.monotonic()
    system.start()
    start_s = time.monotonic() - began
    senders = Senders(f"http://127.0.0.1:{system.otlp_port}", pause_s=0.01)
    try:
        senders.wait_for(1)
        time.sleep(rng.uniform(0.0, 0.6))
        if moment in _SIGNS:
            moment = moment if _until(lambda: _SIGNS[moment](system.data_dir), _SIGN_S) else "write"
        elif moment == "door":
            _kill_the_door(system, rng)
        elif moment == "stop":
            assert system.process is not None
            system.process.terminate()
            time.sleep(rng.uniform(0.0, 1.0))
    finally:
        system.kill()
        acknowledged = senders.stop()
    return End(moment, acknowledged, start_s)


def _kill_the_door(system: System, rng: random.Random) -> None:
    """The process that acknowledges alone; the system replaces it, and is killed around then."""
    assert system.process is not None
    children = Path(f"/proc/{system.process.pid}/task").glob("*/children")
    for pid in {int(pid) for listing in children for pid in listing.read_text().split()}:
        os.kill(pid, 9)
    time.sleep(rng.uniform(0.0, 1.5))


def _owns(system: System) -> bool:
    assert system.process is not None
    lock = system.data_dir / "lock"
    return system.process.poll() is not None or (lock.exists() and lock.read_text() == str(system.process.pid))


def _loading(data_dir: Path) -> bool:
    return any((data_dir / "spool").glob("*/inflight*.json"))


def _merging(data_dir: Path) -> bool:
    return any((data_dir / "clickhouse" / "store").glob("*/*/tmp_merge_*"))


_SIGNS = {"load": _loading, "merge": _merging}


def _until(sign: Callable[[], bool], seconds: float) -> bool:
    """Whether it was seen in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if sign():
            return True
        time.sleep(0.002)
    return False
