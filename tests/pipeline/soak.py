"""Load and `kill -9`, again and again, then the books: nothing lost, nothing counted twice.

Killed is now the whole `spanledger up`, now the part of it below the API, which starts faster; the last life of every
data folder is a whole one, and what it leaves is compared level by level.

`python tests/pipeline/soak.py --cycles 200 [--folder DIR] [--seed N]` prints the figures as JSON; exit code 1 if bad.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # when run as a program

from acknowledged import Senders
from system import System

CYCLES_PER_FOLDER = 20  # then a new one, so that migrations are killed too
PHASES = {"write": 4, "load": 4, "merge": 4, "start": 3, "stop": 2, "door": 2}  # kill where, how often
WHOLE, BELOW_API = ["-m", "spanledger.cli", "up"], [str(Path(__file__).with_name("books_node.py"))]
READ_BOOKS = Path(__file__).parents[1] / "read_books.py"
_QUERIES = {
    "raw": "SELECT count(), uniqExact(TraceId, SpanId) FROM otel_traces WHERE ServiceName = 'test'",
    "ids": "SELECT DISTINCT SpanId FROM otel_traces WHERE ServiceName = 'test'",
    "facts": "SELECT uniqExact(trace_id, span_id) FROM genai_spans FINAL WHERE service = 'test'",
    "ledger": "SELECT sum(llm_calls), sum(input_tokens) FROM ledger WHERE tenant = 'default'",
    "minutes": "SELECT sum(llm_calls), sum(input_tokens) FROM usage_1m WHERE tenant = 'default'",
    "waiting": "SELECT count() FROM (SELECT 1 FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0)",
}


@dataclass
class Figures:
    """Of a whole soak. Seconds of `slowest_start_s` are from the start of a process to its `ready`."""

    seed: int
    cycles: int = 0
    killed_in: dict[str, int] = field(default_factory=dict)
    killed_whole: int = 0  # of these, with API and workflows
    torn_records: int = 0  # never acknowledged, set aside at the next start
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    stored_twice: int = 0
    counted_twice: int = 0
    slowest_start_s: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.acknowledged > 0 and not (self.lost or self.stored_twice or self.counted_twice or self.faults)


class Soak:
    """`run` kills a system some times in each of several data folders."""

    def __init__(self, folder: Path, seed: int, whole_share: float = 0.1) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._whole_share = whole_share
        self.figures = Figures(seed)

    def run(self, cycles: int, told: Callable[[Figures], None] = lambda _: None) -> Figures:
        started = time.monotonic()
        number = 0
        while self.figures.cycles < cycles:
            wanted = min(CYCLES_PER_FOLDER, cycles - self.figures.cycles)
            self._one_folder(self._folder / f"books-{number}", wanted)
            self.figures.seconds = round(time.monotonic() - started, 1)
            told(self.figures)
            number += 1
        return self.figures

    def _one_folder(self, data_dir: Path, cycles: int) -> None:
        system = System(data_dir)
        system.timeout_s = 900.0  # the last flush settles what many lives left, on a machine that may have other work
        try:
            acknowledged = self._lives(system, cycles)
        finally:
            system.kill()
        self._compare(data_dir, acknowledged)
        if "Traceback" in system.stderr():
            self.figures.faults.append(f"{data_dir.name}: {_first_traceback(system.stderr())}")

    def _lives(self, system: System, cycles: int) -> set[str]:
        """All but the last are killed; that one settles everything and stops. Returns what was acknowledged."""
        acknowledged: set[str] = set()
        system.program = BELOW_API
        self._kill_a_start(system, "migration")
        for _ in range(cycles - 1):
            system.program = WHOLE if self._rng.random() < self._whole_share else BELOW_API
            self.figures.killed_whole += system.program is WHOLE
            (phase,) = self._rng.choices(list(PHASES), list(PHASES.values()))
            if phase == "start":
                self._kill_a_start(system, phase)
            else:
                acknowledged |= self._kill_under_load(system, phase)
        system.program = WHOLE
        self._start(system)
        system.post("/v1/flush", {})
        if system.stop() != 0:
            self.figures.faults.append(f"{system.data_dir.name}: the last stop failed")
        return acknowledged

    def _start(self, system: System) -> None:
        started = time.monotonic()
        system.start()
        self.figures.slowest_start_s = max(self.figures.slowest_start_s, round(time.monotonic() - started, 1))

    def _kill_a_start(self, system: System, phase: str) -> None:
        """Somewhere before `ready`."""
        system.launch()
        ready = system.wait_ready(self._rng.uniform(0.3, 3.0))
        system.kill()
        self._count("ready" if ready else phase)

    def _kill_under_load(self, system: System, phase: str) -> set[str]:
        self._start(system)
        senders = Senders(f"http://127.0.0.1:{system.otlp_port}", pause_s=0.01)
        time.sleep(self._rng.uniform(0.05, 0.6))
        if phase in _SIGNS:
            phase = phase if _await(_SIGNS[phase], system.data_dir) else "write"
        elif phase == "door":
            self._kill_the_door(system)
        elif phase == "stop":
            assert system.process is not None
            system.process.terminate()
            time.sleep(self._rng.uniform(0.0, 1.0))
        system.kill()
        self._count(phase)
        return senders.stop()

    def _kill_the_door(self, system: System) -> None:
        """The process that acknowledges alone; the system replaces it, and is killed around then."""
        assert system.process is not None
        children = Path(f"/proc/{system.process.pid}/task").glob("*/children")
        for pid in {int(pid) for listing in children for pid in listing.read_text().split()}:
            os.kill(pid, 9)
        time.sleep(self._rng.uniform(0.0, 1.5))

    def _count(self, phase: str) -> None:
        self.figures.cycles += 1
        self.figures.killed_in[phase] = self.figures.killed_in.get(phase, 0) + 1

    def _compare(self, data_dir: Path, acknowledged: set[str]) -> None:
        """Level by level: every acknowledged span is there, no span is there or counted twice."""
        answer = _read(data_dir)
        rows = answer["rows"]
        ((stored, distinct),) = rows["raw"]
        self.figures.acknowledged += len(acknowledged)
        self.figures.stored += distinct
        self.figures.lost += len(acknowledged - {row[0] for row in rows["ids"]})
        self.figures.stored_twice += stored - distinct
        for level in ("ledger", "minutes"):
            for amount in rows[level][0]:
                self.figures.counted_twice += abs(int(amount) - distinct)
        if rows["facts"] != [[distinct]]:
            self.figures.faults.append(f"{data_dir.name}: {rows['facts']} facts of {distinct} spans")
        if rows["waiting"] != [[0]]:
            self.figures.faults.append(f"{data_dir.name}: {rows['waiting']} traces wait for ever")
        if not answer["audit"]["balanced"]:
            self.figures.faults.append(f"{data_dir.name}: {answer['audit']['differences'][:3]}")
        self.figures.torn_records += len(list((data_dir / "spool" / "dead").glob("*.bin")))


def _first_traceback(text: str) -> str:
    return text[text.index("Traceback") :][:2000]


def _loading(data_dir: Path) -> bool:
    return any((data_dir / "spool").glob("*/inflight.json"))


def _merging(data_dir: Path) -> bool:
    return any((data_dir / "clickhouse" / "store").glob("*/*/tmp_merge_*"))


_SIGNS = {"load": _loading, "merge": _merging}


def _await(sign: Callable[[Path], bool], data_dir: Path) -> bool:
    """Whether it was seen within some seconds of load."""
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        if sign(data_dir):
            return True
        time.sleep(0.002)
    return False


def _read(data_dir: Path) -> dict[str, Any]:
    command = [sys.executable, str(READ_BOOKS), str(data_dir)]
    ran = subprocess.run(command, input=json.dumps(_QUERIES), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def _tell(figures: Figures) -> None:
    print(json.dumps(asdict(figures)), file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanledger-soak-") as temporary:
        figures = Soak(options.folder or Path(temporary), options.seed).run(options.cycles, _tell)
    print(json.dumps(asdict(figures), indent=2))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
