"""What emission costs the application: µs per message with and without telemetry, paired.

Two child processes with everything loaded, one emitting to a local receiver and one not, answer blocks of the same
messages in turn (on, off, off, on, …), so that what else happens on the machine meets both. One message of workflow
`chat` with `offline/small` is one LLM call and four spans (invoke_workflow, run, node, chat), two log records, three
measurements, six events of the live stream. Wall time is what a request waits; `loop_cpu` is the CPU time of the event
loop's thread, which other work on the machine does not stretch; `cpu` includes the exporter's threads.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from spanledger.bench import steps

SPANS_PER_CALL = 4
_WARM_UP = 50  # calls of each child before anything is measured


def run(blocks: int = 20, calls: int = 50) -> dict[str, Any]:
    """JSON-ready figures of `blocks` pairs of blocks of `calls` calls each. Takes about 10 s, half of it loading."""
    with Receiver() as endpoint, _Child("on", endpoint) as on, _Child("off", endpoint) as off:
        for child in (on, off):
            child.block(_WARM_UP)
        pairs = []
        for number in steps.counted("with and without telemetry", range(blocks), "blocks"):
            first, second = (on, off) if number % 2 == 0 else (off, on)
            result = {first.name: first.block(calls), second.name: second.block(calls)}
            pairs.append((result["on"], result["off"]))
        dropped = on.dropped()
    return {
        "benchmark": "overhead",
        "calls": blocks * calls,
        "spans_per_call": SPANS_PER_CALL,
        "with_telemetry_us": _figures([on for on, _ in pairs]),
        "without_telemetry_us": _figures([off for _, off in pairs]),
        "overhead_us": {
            "wall_p50": _difference(pairs, "wall", 0.5),
            "wall_p99": _difference(pairs, "wall", 0.99),
            "loop_cpu_p50": _difference(pairs, "loop_cpu", 0.5),
            "loop_cpu_p99": _difference(pairs, "loop_cpu", 0.99),
            "cpu_mean": round(statistics.median(on["cpu"][0] - off["cpu"][0] for on, off in pairs), 1),
        },
        "dropped": dropped,
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load_1m": round(os.getloadavg()[0], 2),
        },
    }


Block = dict[str, list[float]]  # µs of each call; `cpu`: the block's mean


def _figures(blocks: list[Block]) -> dict[str, float]:
    shown = {f"{name}_p{q * 100:.0f}": _quantile(blocks, name, q) for name in ("wall", "loop_cpu") for q in (0.5, 0.99)}
    return {**shown, "cpu_mean": round(statistics.fmean(block["cpu"][0] for block in blocks), 1)}


def _quantile(blocks: list[Block], name: str, q: float) -> float:
    """Over the calls of all blocks."""
    values = sorted(value for block in blocks for value in block[name])
    return round(values[min(len(values) - 1, int(len(values) * q))], 1)


def _difference(pairs: list[tuple[Block, Block]], name: str, q: float) -> float:
    """Of the quantiles with and without; the median of the blocks' own differences for p50, which drift meets less."""
    if q == 0.5:
        return round(statistics.median(_quantile([on], name, q) - _quantile([off], name, q) for on, off in pairs), 1)
    return round(_quantile([on for on, _ in pairs], name, q) - _quantile([off for _, off in pairs], name, q), 1)


class _Child:
    """A process that answers blocks of messages on command."""

    def __init__(self, name: str, endpoint: str) -> None:
        self.name = name
        command = [sys.executable, "-m", "spanledger.bench.overhead", "--child", name, "--endpoint", endpoint]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        _stream(self._process.stdin).close()
        self._process.wait(30)
        _stream(self._process.stdout).close()

    def block(self, calls: int) -> "Block":
        figures: Block = self._ask(str(calls))
        return figures

    def dropped(self) -> dict[str, int]:
        counts: dict[str, int] = self._ask("dropped")
        return counts

    def _ask(self, line: str) -> Any:
        pipe = _stream(self._process.stdin)
        pipe.write(line + "\n")
        pipe.flush()
        return json.loads(_stream(self._process.stdout).readline())


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


class Receiver:
    """Accepts every OTLP request and keeps nothing."""

    def __enter__(self) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


async def _serve_blocks(name: str, endpoint: str, data_dir: Path) -> None:
    from spanledger import telemetry
    from spanledger.live import Live
    from spanledger.pricing import load_book
    from spanledger.settings import Settings
    from spanledger.workflows import Completion, Order, Runner

    emission = telemetry.start(endpoint) if name == "on" else telemetry.off()
    emission.listen(Live("spanledger").hearing)
    runner = Runner(Settings(data_dir=data_dir), emission, load_book())
    await runner.warm()
    question = Completion(Order(conversation_id="bench", user_id="bench"), [{"role": "user", "content": "hello"}])
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "dropped":
            await asyncio.to_thread(emission.flush)
            print(json.dumps(emission.dropped()), flush=True)
            continue
        block: Block = {"wall": [], "loop_cpu": []}
        cpu = time.process_time_ns()
        for _ in range(int(line)):
            started, on_loop = time.perf_counter_ns(), time.thread_time_ns()
            await runner.complete(question)
            block["loop_cpu"].append((time.thread_time_ns() - on_loop) / 1000)
            block["wall"].append((time.perf_counter_ns() - started) / 1000)
        await asyncio.to_thread(emission.flush)  # what this block emitted is paid for in this block
        block["cpu"] = [(time.process_time_ns() - cpu) / 1000 / int(line)]
        print(json.dumps(block), flush=True)
    await runner.close()
    emission.shutdown()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", choices=("on", "off"))
    parser.add_argument("--endpoint", default="")
    options = parser.parse_args()
    if options.child is None:
        print(json.dumps(run(), indent=2))
        return
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        asyncio.run(_serve_blocks(options.child, options.endpoint, Path(folder)))


if __name__ == "__main__":
    _main()
