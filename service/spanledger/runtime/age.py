"""How long this process has been there, from before its first line of Python."""

import os
import time
from pathlib import Path

_STARTTIME = 19  # fields behind the name in /proc/self/stat: ticks from the system's start to the process' start
_imported = time.monotonic()


def process_age_s() -> float:
    """Where the system does not tell it, since this module was imported."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTTIME]) / ticks_per_s
    except (OSError, AttributeError):
        return time.monotonic() - _imported
