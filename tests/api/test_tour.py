"""The tour is the acceptance of the whole platform: every stop proves itself on a real system."""

import os
import subprocess
import sys
from pathlib import Path

STOPS = 14


def test_every_stop_of_the_tour_does_what_it_should_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spanledger.cli", "tour"]
    places = {"TMPDIR": str(tmp_path), "SPANLEDGER_DATA_DIR": str(tmp_path / "own")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | places)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("    spans   ") and "—" not in line]) == STOPS
    assert lines[-1] == "every stop did what it should"
    assert list(tmp_path.iterdir()) == []
