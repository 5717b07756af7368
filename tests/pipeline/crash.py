"""Load, `kill -9`, restart, compare: used by the short test and by the long one."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from otlp_make import trace_request

NODE = Path(__file__).with_name("ingest_node.py")
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Node:
    """One life of the process."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        command = [sys.executable, str(NODE), str(data_dir), json.dumps(settings)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = ""
        self.workers: list[int] = []

    def ready(self) -> "Node":
        """Waits until it accepts."""
        news = self._hear()
        self.endpoint, self.workers = news["endpoint"], news["workers"]
        return self

    def __enter__(self) -> "Node":
        return self.ready()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.close()

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._hear()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def stop(self) -> None:
        assert self.ask(stop=True) == "stopped"
        self.close()
        assert self.process.returncode == 0

    def close(self) -> None:
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the node ended with code {self.process.wait(30)}"
        return json.loads(line)


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
            assert self._news.wait_for(lambda: len(self.acknowledged) >= wanted, 60), self.refused

    def wait_for_refusal(self, status: int) -> None:
        """Until a request is answered so from now on."""
        with self._news:
            before = self.refused[status]
            assert self._news.wait_for(lambda: self.refused[status] > before, 60), self.refused

    def stop(self) -> set[str]:
        self._stopped.set()
        for run in self._runs:
            run.result()
        self._pool.shutdown()
        return self.acknowledged

    def _send(self) -> None:
        with httpx.Client(base_url=self._endpoint, timeout=5) as client:
            while not self._stopped.is_set():
                ids = [os.urandom(8) for _ in range(self._spans)]
                attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
                request = trace_request(*({"span_id": span_id, "attributes": attributes} for span_id in ids))
                started = time.monotonic()
                try:
                    answer = client.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
                except httpx.TransportError:
                    return
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


def cycles(data_dir: Path, count: int, rng: random.Random) -> Iterator[set[str]]:
    """Loads and kills `count` times; yields the span ids acknowledged in each life."""
    for _ in range(count):
        node = Node(data_dir)
        if rng.random() < 0.15:  # in the middle of its start
            time.sleep(rng.uniform(0.1, 1.5))
            node.kill()
            yield set()
            continue
        node.ready()
        senders = Senders(node.endpoint)
        time.sleep(rng.uniform(0.05, 1.5))
        node.kill()
        yield senders.stop()


def expect_once(node: Node, acknowledged: set[str]) -> None:
    """Every acknowledged span is there, and no span is there twice."""
    assert node.ask(flush=60) is True
    rows = node.ask(sql="SELECT SpanId, count() FROM otel_traces GROUP BY SpanId")
    counts = dict(rows)
    assert acknowledged - counts.keys() == set()
    assert {span_id: count for span_id, count in counts.items() if count != 1} == {}
    normalised = {row[0] for row in node.ask(sql="SELECT span_id FROM genai_spans FINAL")}
    if node.ask(sql="EXISTS TABLE genai_spans_mv") == [[1]]:
        assert normalised == counts.keys()
        queued = {row[0] for row in node.ask(sql="SELECT trace_id FROM settle_queue FINAL WHERE pending > 0")}
        assert queued == {row[0] for row in node.ask(sql="SELECT DISTINCT TraceId FROM otel_traces")}
