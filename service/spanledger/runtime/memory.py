"""Memory of a process that keeps much and makes much at a time."""

import gc
import os

import pyarrow as pa

_YOUNG = 20_000  # objects made, less those gone, between two collections; Python's own 700 is for small programs


def collect_less() -> None:
    """To be called once what a process keeps for good is there: the collector leaves that alone from now on.

    A batch of settlement, all of which is alive until it ends, is then not searched over and over, which was a quarter
    of its time.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)


def give_back() -> None:
    """To be called before the engine is loaded: what is free goes back to the system at once, not in five seconds.

    A fifth less is held in a flood for it, and nothing is slower that could be measured.
    """
    os.environ.setdefault("JE_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
    pa.set_memory_pool(pa.system_memory_pool())
