"""The last lines of an MCP server's stderr, for its error message."""

import logging
import os
import threading
from collections import deque
from contextlib import suppress

_MAX_LINE = 500
_MAX_LINES = 10
_log = logging.getLogger(__name__)


class Stderr:
    """Give `file` to the process. A thread reads it to its end, so that the process never blocks on it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        reading, writing = os.pipe()
        self.file = os.fdopen(writing, "w")
        threading.Thread(target=self._read, args=(reading,), name=f"stderr-{name}", daemon=True).start()

    def tail(self) -> str:
        """The last lines."""
        return " | ".join(self._lines)

    def close(self) -> None:
        with suppress(OSError):
            self.file.close()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            while line := stream.readline(64 * 1024):
                text = line.decode(errors="replace").strip()[:_MAX_LINE]
                if text:
                    self._lines.append(text)
                    _log.debug("server %s: %s", self._name, text)
