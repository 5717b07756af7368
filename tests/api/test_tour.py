"""The tour is the acceptance of the whole platform: every stop proves itself on a real system."""

import subprocess
import sys

STOPS = 14


def test_every_stop_of_the_tour_does_what_it_should() -> None:
    command = [sys.executable, "-m", "spanledger.cli", "tour", "--fresh"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("    spans   ") and "—" not in line]) == STOPS
    assert lines[-1] == "every stop did what it should"
