"""The age of this process, counted from its start by the operating system."""

import os
import time
from pathlib import Path

_STARTTIME = 19  # fields behind the name in /proc/self/stat: ticks from the system's start to the process' start
_imported = time.monotonic()


def process_age_s() -> float:
    """Seconds since the start of the process; since the import of this module where /proc does not exist."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTTIME]) / ticks_per_s
    except (OSError, AttributeError):
        return time.monotonic() - _imported
