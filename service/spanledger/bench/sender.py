"""Sends OTLP traffic from a process of its own, at full speed or at an even rate.

`python -m spanledger.bench.sender '<Plan as JSON>'` prints what it did as JSON.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import urlsplit

import grpc

from spanledger.bench.traffic import Body
from spanledger.bench.workload import SPANS_PER_TRACE

_TEMPLATES = 8  # of each connection


@dataclass(frozen=True)
class Plan:
    """What one sending process does. `spans_per_s` 0 is as fast as it goes."""

    endpoint: str  # of OTLP/HTTP, or host:port for gRPC
    protocol: str = "http"  # http | json | grpc
    seconds: float = 10.0
    spans_per_s: float = 0.0
    spans_per_request: int = 1024
    connections: int = 3


@dataclass
class Sent:
    """What a sending process did; `spans` and `bytes` are those acknowledged. At an even rate `ack_ms` counts from when
    a request was due, so that a slow answer also shows in those that had to wait for it."""

    spans: int = 0
    requests: int = 0
    refused: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    ack_ms: list[float] = field(default_factory=list)


def send(plan: Plan) -> Sent:
    """Sends by the plan from this process."""
    lanes = [_Lane(plan) for _ in range(plan.connections)]
    pace = _Pace(plan)
    started, cpu = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=lane.run, args=(pace,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Sent(seconds=time.monotonic() - started, cpu_seconds=time.process_time() - cpu)
    for lane in lanes:
        for name in ("spans", "requests", "refused", "bytes", "ack_ms"):
            setattr(total, name, getattr(total, name) + getattr(lane.sent, name))
    return total


class _Pace:
    """Gives each request its time to be sent; all lanes share it."""

    def __init__(self, plan: Plan) -> None:
        self._started = time.monotonic()
        self._end = self._started + plan.seconds
        self._interval = plan.spans_per_request / plan.spans_per_s if plan.spans_per_s else 0.0
        self._count = 0
        self._guard = threading.Lock()

    def wait(self) -> float | None:
        """Returns at the time of the next request and says when it was due; None when all are sent."""
        with self._guard:
            self._count += 1
            due = self._started + self._count * self._interval
        now = time.monotonic()
        if due >= self._end or now >= self._end:
            return None
        time.sleep(max(0.0, due - now))
        return due


class _Lane:
    """One connection."""

    def __init__(self, plan: Plan) -> None:
        rng = random.Random()
        traces = plan.spans_per_request // SPANS_PER_TRACE
        self._bodies = [Body(rng, traces, plan.protocol == "json") for _ in range(_TEMPLATES)]
        self._plan = plan
        self.sent = Sent()

    def run(self, pace: _Pace) -> None:
        export, close = _grpc_client(self._plan) if self._plan.protocol == "grpc" else _http_client(self._plan)
        while (due := pace.wait()) is not None:
            body = random.choice(self._bodies)
            data = body.fresh()
            began = due if self._plan.spans_per_s else time.monotonic()
            accepted = export(data)
            self.sent.ack_ms.append((time.monotonic() - began) * 1000)
            self.sent.requests += 1
            if accepted:
                self.sent.spans += body.spans
                self.sent.bytes += len(data)
            else:
                self.sent.refused += 1
        close()


Client = tuple[Callable[[bytes], bool], Callable[[], None]]


def _http_client(plan: Plan) -> Client:
    address = urlsplit(plan.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    kind = "application/json" if plan.protocol == "json" else "application/x-protobuf"

    def export(data: bytes) -> bool:
        connection.request("POST", "/v1/traces", data, {"Content-Type": kind})
        response = connection.getresponse()
        response.read()
        return response.status == 200

    return export, connection.close


def _grpc_client(plan: Plan) -> Client:
    channel = grpc.insecure_channel(plan.endpoint, options=[("grpc.max_send_message_length", -1)])
    call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    def export(data: bytes) -> bool:
        try:
            call(data, timeout=60)
        except grpc.RpcError:
            return False
        return True

    return export, channel.close


@contextmanager
def sending(plan: Plan) -> Iterator["Popen[str]"]:
    """A process that sends by the plan and prints what it did; it is ended with the block."""
    with Popen([sys.executable, "-m", __name__, json.dumps(asdict(plan))], stdout=PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def report(process: "Popen[str]") -> Sent:
    """What a process of `sending` did, when it is done."""
    output, _ = process.communicate()
    fields: dict[str, Any] = json.loads(output)
    return Sent(**fields)


if __name__ == "__main__":
    print(json.dumps(asdict(send(Plan(**json.loads(sys.argv[1]))))))
