"""Priorities of threads: what nobody waits for yields to what somebody waits for."""

import os
from contextlib import suppress
from pathlib import Path

_MERGES = "MergeMutate"  # as the embedded engine names its threads for merges and mutations
_YIELDING = 10  # a tenth of the processor's time while others want it, all of it else


def lower_merges() -> None:
    """To be called when the engine runs: its threads for merges are there by then.

    A merge of much history takes minutes. At equal priority it leaves questions and loads half of two processors. Only
    Linux has priorities of single threads; elsewhere nothing happens.
    """
    for task in Path("/proc/self/task").glob("*"):
        with suppress(OSError):  # a thread that has ended meanwhile
            if (task / "comm").read_text().strip() == _MERGES:
                os.setpriority(os.PRIO_PROCESS, int(task.name), _YIELDING)
