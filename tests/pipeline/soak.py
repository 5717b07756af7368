"""Load and `kill -9`, again and again, then the books: nothing lost, nothing counted twice.

Killed is now the whole `spanledger up`, now the part of it below the API, which starts faster; the last life of every
data folder is a whole one, and what it leaves is compared level by level.

`python tests/pipeline/soak.py --cycles 200 [--folder DIR] [--seed N]` tells on stderr how it goes and prints the
figures as JSON; exit code 1 if bad; from the first bad one on the data folders are left where they are.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # when run as a program

import lives
from lives import End

from system import System

CYCLES_PER_FOLDER = 20  # then a new one, so that
MIGRATIONS_PER_FOLDER = 3  # are killed in each
MOMENTS = {"write": 4, "load": 4, "merge": 4, "start": 3, "stop": 2, "door": 2}  # the others are killed in, how often
READ_BOOKS = Path(__file__).parents[1] / "read_books.py"
_QUERIES = {
    "raw": "SELECT count(), uniqExact(TraceId, SpanId) FROM otel_traces WHERE ServiceName = 'test'",
    "ids": "SELECT DISTINCT SpanId FROM otel_traces WHERE ServiceName = 'test'",
    "facts": "SELECT uniqExact(trace_id, span_id) FROM genai_spans FINAL WHERE service = 'test'",
    "ledger": "SELECT sum(llm_calls), sum(input_tokens) FROM ledger WHERE tenant = 'default'",
    "minutes": "SELECT sum(llm_calls), sum(input_tokens) FROM usage_1m WHERE tenant = 'default'",
    "waiting": "SELECT count() FROM (SELECT 1 FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0)",
}
Say = Callable[[str], None]


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
    """`run` kills a system some times in each of several data folders, which it makes in `folder`.

    `whole_share`: how many of the lives have an API; 0: not even the last of a folder.
    """

    def __init__(self, folder: Path, seed: int, whole_share: float = 0.1, say: Say = lambda _: None) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._whole_share = whole_share
        self._say = say
        self._started = time.monotonic()
        self.figures = Figures(seed)

    def run(self, cycles: int) -> Figures:
        number = 0
        while self.figures.cycles < cycles:
            self._one_folder(self._folder / f"books-{number}", min(CYCLES_PER_FOLDER, cycles - self.figures.cycles))
            number += 1
        return self.figures

    def _one_folder(self, data_dir: Path, cycles: int) -> None:
        """Whatever goes wrong is written down, and the next folder begins."""
        acknowledged: set[str] = set()
        planned = self.figures.cycles + cycles
        try:
            for number in range(cycles):
                end = self._one_life(data_dir, number)
                acknowledged |= end.acknowledged
                self._note(end)
            self._last_life(data_dir)
            self._compare(data_dir, acknowledged)
        except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as exc:
            self._fault(data_dir, repr(exc))
            self.figures.cycles = planned
        self.figures.seconds = round(time.monotonic() - self._started, 1)
        self._say(f"{data_dir.name}: {json.dumps(asdict(self.figures))}")
        if self.figures.good:
            shutil.rmtree(data_dir)

    def _one_life(self, data_dir: Path, number: int) -> End:
        whole = self._rng.random() < self._whole_share
        system = lives.born(data_dir, lives.WHOLE if whole else lives.BELOW_API)
        self.figures.killed_whole += whole
        try:
            if number < MIGRATIONS_PER_FOLDER:
                return lives.kill_in_migration(system, self._rng)
            (moment,) = self._rng.choices(list(MOMENTS), list(MOMENTS.values()))
            if moment == "start":
                return lives.kill_in_start(system, self._rng)
            return lives.kill_under_load(system, self._rng, moment)
        finally:
            system.kill()

    def _last_life(self, data_dir: Path) -> None:
        """Settles everything, and stops as it should."""
        system = lives.born(data_dir, lives.WHOLE if self._whole_share else lives.BELOW_API)
        try:
            system.start()
            if self._whole_share:
                system.flush()
            code = system.stop()
        finally:
            system.kill()
        if code:
            self._fault(data_dir, f"the last stop ended with {code}")
        if "Traceback" in system.stderr():
            self._fault(data_dir, _first_traceback(system))

    def _note(self, end: End) -> None:
        figures = self.figures
        figures.cycles += 1
        figures.killed_in[end.moment] = figures.killed_in.get(end.moment, 0) + 1
        figures.slowest_start_s = max(figures.slowest_start_s, round(end.start_s, 1))
        elapsed = time.monotonic() - self._started
        self._say(f"{elapsed:.0f} s, kill {figures.cycles}: {end.moment}, {len(end.acknowledged)} spans acknowledged")

    def _fault(self, data_dir: Path, text: str) -> None:
        self.figures.faults.append(f"{data_dir}: {text}")

    def _compare(self, data_dir: Path, acknowledged: set[str]) -> None:
        """Level by level: every acknowledged span is there, no span is there or counted twice."""
        answer = _read(data_dir)
        rows, figures = answer["rows"], self.figures
        ((stored, distinct),) = rows["raw"]
        figures.acknowledged += len(acknowledged)
        figures.stored += distinct
        figures.lost += len(acknowledged - {row[0] for row in rows["ids"]})
        figures.stored_twice += stored - distinct
        for level in ("ledger", "minutes"):
            for amount in rows[level][0]:
                figures.counted_twice += abs(int(amount) - distinct)
        if rows["facts"] != [[distinct]]:
            self._fault(data_dir, f"{rows['facts']} facts of {distinct} spans")
        if rows["waiting"] != [[0]]:
            self._fault(data_dir, f"{rows['waiting']} traces wait for ever")
        if not answer["audit"]["balanced"]:
            self._fault(data_dir, str(answer["audit"]["differences"][:3]))
        figures.torn_records += len(list((data_dir / "spool" / "dead").glob("*.bin")))


def _first_traceback(system: System) -> str:
    text = system.stderr()
    return text[text.index("Traceback") :][:2000]


def _read(data_dir: Path) -> dict[str, Any]:
    command = [sys.executable, str(READ_BOOKS), str(data_dir)]
    ran = subprocess.run(command, input=json.dumps(_QUERIES), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="for the data folders; a temporary one if not given")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="spanledger-soak-"))
    soak = Soak(folder, options.seed, say=lambda text: print(text, file=sys.stderr, flush=True))
    figures = soak.run(options.cycles)
    if figures.good and not options.folder:
        shutil.rmtree(folder)
    print(json.dumps(asdict(figures), indent=2))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
