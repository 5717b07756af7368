"""Memory of a process that keeps much and makes much at a time."""

import ctypes
import gc
import mmap
import os
from pathlib import Path

import pyarrow as pa

_ENGINE = "_chdb.abi3.so"
_YOUNG = 20_000  # objects made, less those gone, between two collections; Python's own 700 is for small programs


def collect_less() -> None:
    """To be called once what a process keeps for good is there: the collector leaves that alone from now on.

    A batch of settlement, all of which is alive until it ends, is then not searched over and over, which was a quarter
    of its time.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
    gc.enable()  # the command `up` disabled the collector during its start


def give_back() -> None:
    """To be called before the engine is loaded: what is free goes back to the system at once, not in five seconds.

    A fifth less is held in a flood for it, and nothing is slower that could be measured.
    """
    os.environ.setdefault("JE_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
    pa.set_memory_pool(pa.system_memory_pool())


def return_what_start_took() -> None:
    """To be called when a start, or the loading of a library, is over: free memory goes back to the system at once.

    The engine's start touches 200 MiB of its own code, most of it never again. Those pages leave this process and stay
    in the system's page cache; what is used again comes back from there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.malloc_trim(0)
    for start, length in _code_of(_ENGINE):
        libc.madvise(start, length, mmap.MADV_DONTNEED)


def _code_of(library: str) -> list[tuple[int, int]]:
    """Start and length of the mappings of a library's code and constants: pages that nobody writes to. What the loader
    relocates lies behind the code and is left alone.
    """
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, permissions, offset, *_ = line.split()
        unwritten = permissions == "r-xp" or (permissions == "r--p" and int(offset, 16) == 0)
        if unwritten and line.endswith(f"/{library}"):
            start, end = (int(text, 16) for text in place.split("-"))
            found.append((start, end - start))
    return found
