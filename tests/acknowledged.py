"""Load that remembers what it was promised."""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from otlp_make import trace_request

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Senders:
    """Sends spans from several threads until stopped, and keeps the ids of those that were acknowledged.

    What is refused is not sent again; how often that was, by status, and the longest wait for an answer are kept.
    """

    def __init__(self, endpoint: str, spans: int = 50, threads: int = 3, pause_s: float = 0.0) -> None:
        self._endpoint = endpoint
        self._pause_s = pause_s
        self._spans = spans
        self._stopped = threading.Event()
        self._news = threading.Condition()
        self.acknowledged: set[str] = set()
        self.refused: Counter[int] = Counter()
        self.slowest_s = 0.0
        self._pool = ThreadPoolExecutor(threads)
        self._runs = [self._pool.submit(self._send) for _ in range(threads)]

    def wait_for(self, spans: int) -> None:
        """Until so many more are acknowledged."""
        with self._news:
            wanted = len(self.acknowledged) + spans
            assert self._news.wait_for(lambda: len(self.acknowledged) >= wanted, 120), self.refused

    def wait_for_refusal(self, status: int) -> None:
        """Until a request is answered so from now on."""
        with self._news:
            before = self.refused[status]
            assert self._news.wait_for(lambda: self.refused[status] > before, 120), self.refused

    def stop(self) -> set[str]:
        self._stopped.set()
        for run in self._runs:
            run.result()
        self._pool.shutdown()
        return self.acknowledged

    def _send(self) -> None:
        with httpx.Client(base_url=self._endpoint, timeout=30) as client:
            while not self._stopped.is_set():
                ids = [os.urandom(8) for _ in range(self._spans)]
                attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
                request = trace_request(*({"span_id": span_id, "attributes": attributes} for span_id in ids))
                started = time.monotonic()
                try:
                    answer = client.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
                except httpx.ConnectError:  # nobody is there any more
                    return
                except (
                    httpx.TransportError
                ):  # not acknowledged; another process may take the place of the one that died
                    continue
                self._note(answer.status_code, ids, time.monotonic() - started)
                self._stopped.wait(self._pause_s if answer.status_code == 200 else 0.05)

    def _note(self, status: int, ids: list[bytes], seconds: float) -> None:
        with self._news:
            self.slowest_s = max(self.slowest_s, seconds)
            if status == 200:
                self.acknowledged.update(span_id.hex() for span_id in ids)
            else:
                self.refused[status] += 1
            self._news.notify_all()
