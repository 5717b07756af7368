"""A wall clock that a test moves, for the processes that it starts. The engine in them keeps the machine's own."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest


class ShiftedClock:
    """`environ` goes into a process's environment; `shift_s` then moves its clock, whenever it is set."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler to make a clock with that can be moved")
        library, file = folder / "shifted_clock.so", folder / "shift"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
        file.write_bytes(bytes(mmap.PAGESIZE))
        with file.open("r+b") as opened:
            self._seen = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
        self.environ = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(file)}

    @property
    def shift_s(self) -> int:
        (seconds,) = struct.unpack_from("q", self._seen)
        return int(seconds)

    @shift_s.setter
    def shift_s(self, seconds: int) -> None:
        struct.pack_into("q", self._seen, 0, seconds)
