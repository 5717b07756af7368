"""The handle of a process of store and OTLP door alone (`ingest_node.py`), which tests kill and ask."""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import preloaded

NODE = Path(__file__).with_name("ingest_node.py")


class Node:
    """One life of the process."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        if "clickhouse_url" not in settings and not (data_dir / "clickhouse").exists():
            preloaded.migrate(data_dir)
        command = [str(NODE), str(data_dir), json.dumps(settings)]
        self.process = preloaded.start(command, os.environ, stderr=2, asked=True)
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
        queued = {row[0] for row in node.ask(sql="SELECT trace_id FROM settle_queue FINAL WHERE pending != 0")}
        assert queued == {row[0] for row in node.ask(sql="SELECT DISTINCT TraceId FROM otel_traces")}
