"""A file that reports how much of it is read: what progress is shown by."""

from collections.abc import Callable
from typing import BinaryIO

OnRead = Callable[[int], None]  # how many bytes more


def ignore(count: int) -> None:
    """For readers whose progress is not shown."""


class Counted:
    """Reads from a binary file."""

    def __init__(self, file: BinaryIO, on_read: OnRead) -> None:
        self._file, self._on_read = file, on_read

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._file.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._counted(self._file.readline(size))

    def _counted(self, piece: bytes) -> bytes:
        self._on_read(len(piece))
        return piece
