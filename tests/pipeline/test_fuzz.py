"""Damaged bodies cost their senders a clear answer and nobody else anything."""

import os
import random
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fuzzing import seeds, storms
from node import Node


def rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def run(folder: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    with Node(folder) as node, ExitStack() as clients:
        own = threading.local()  # httpx closes a connection of its pool while another thread is about to use it

        def send(signal: str, body: bytes, content_type: str) -> int:
            if not hasattr(own, "client"):
                own.client = clients.enter_context(httpx.Client(base_url=node.endpoint, timeout=60))
            sent = own.client.post(f"/v1/{signal}", content=body, headers={"Content-Type": content_type})
            return int(sent.status_code)

        assert {send(*seed) for seed in seeds()} == {200}, "what is damaged below was good"
        (worker,) = node.workers
        good, statuses = storms(send, count // 10, rng)
        before = rss_kb(worker)
        more, later = storms(send, count - count // 10, rng)
        growth = rss_kb(worker) - before
        good, statuses = good | more, statuses + later
        assert set(statuses) == {200, 400}, f"seed {seed}: {statuses}"
        assert min(statuses.values()) > count / 50
        assert growth < 30_000, f"the worker grew by {growth} kB"
        assert node.ask(flush=300) is True
        stored = {row[0] for row in node.ask(sql="SELECT DISTINCT SpanId FROM otel_traces")}
        assert good - stored == set()
        health = node.ask(health=True)
        print(f"{count} damaged bodies, seed {seed}: {dict(statuses)}; {len(good)} good spans among them, all stored")
        print(f"the worker grew by {growth} kB; ClickHouse refused {health['dead_letters']}, which were set aside")
        assert health["worker_restarts"] == 0
        # What our check lets through and ClickHouse refuses is set aside alone: rare, and no good span with it.
        assert health["dead_letters"] <= 1 + count / 2000, health["last_error"]


def test_damaged_bodies_among_good_ones(tmp_path: Path) -> None:
    run(tmp_path, 4000, int(os.environ.get("FUZZ_SEED", "11")))


@pytest.mark.slow
def test_a_hundred_thousand_damaged_bodies(tmp_path: Path) -> None:
    run(tmp_path, 100_000, random.randrange(2**32))
