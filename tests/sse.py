"""A reader of server-sent events for tests: a connection of its own, read on a thread."""

import contextlib
import http.client
import json
import socket
import threading
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Told:
    """One event as it came."""

    type: str
    id: str
    data: dict[str, Any]


class Reader:
    """Use it as a context manager: it is connected inside. `until` waits for what the test expects."""

    def __init__(self, port: int, path: str = "/v1/events", **headers: str) -> None:
        self.told: list[Told] = []
        self.comments = 0
        self.ended = threading.Event()
        self._changed = threading.Condition()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = path
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __enter__(self) -> Self:
        self._connection.request("GET", self._path, headers=self._headers)
        self._response = self._connection.getresponse()
        self._socket = self._response.fp.raw._sock  # type: ignore[attr-defined]
        assert self._response.status == 200, self._response.read()
        assert self._response.getheader("content-type", "").startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._connection.close()

    def until(self, done: Any, timeout_s: float = 60) -> list[Told]:
        """The events so far, once `done(events)` holds."""
        with self._changed:
            assert self._changed.wait_for(lambda: done(self.told), timeout_s), [t.type for t in self.told]
            return list(self.told)

    def until_type(self, kind: str, count: int = 1) -> list[Told]:
        return self.until(lambda told: sum(t.type == kind for t in told) >= count)

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            while line := self._response.readline():
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments += 1
                elif text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    self._add(Told(fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])))
                    fields = {}
                else:
                    fields = {}
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            with self._changed:
                self.ended.set()
                self._changed.notify_all()

    def _add(self, told: Told) -> None:
        with self._changed:
            self.told.append(told)
            self._changed.notify_all()
