"""How soon the books agree with a reply (reply received → the same figures from GET /v1/conversations/{id}), and
how soon 200 readers of the live stream have every event (streaming.py).

For the first a `spanledger up` of its own, one client, one message after the other, each in a conversation of its own.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

from spanledger.bench import steps, streaming
from spanledger.settings import NO_SETTINGS_FILE

POLL_S = 0.03


def run(messages: int = 200) -> dict[str, Any]:
    """`p50_ms` …: milliseconds from reply to equal figures; `bus` and `stream`: see streaming.py."""
    return {**_freshness(messages), **streaming.run()}


def _freshness(messages: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        api, otlp = _free_port(), _free_port()
        command = [sys.executable, "-m", "spanledger.cli", "up", "--data-dir", folder, "--port", str(api)]
        command += ["--otlp-http-port", str(otlp), "--otlp-grpc-port", "0"]
        system = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | NO_SETTINGS_FILE
        )
        try:
            assert system.stdout is not None
            if not any(line.startswith("ready") for line in system.stdout):
                raise RuntimeError("`spanledger up` did not start; run it by hand to see why")
            client = http.client.HTTPConnection("127.0.0.1", api, timeout=60)
            _say_and_wait(client, "warm-up")
            numbers = steps.counted("from an answer to its figures", range(messages), "messages")
            lags = sorted(_say_and_wait(client, f"message {number}") for number in numbers)
        finally:
            system.send_signal(signal.SIGTERM)
            system.wait(60)
    return {
        "messages": messages,
        "load_average": round(os.getloadavg()[0], 1),
        "p50_ms": round(lags[messages // 2]),
        "p99_ms": round(lags[max(0, int(messages * 0.99) - 1)]),
        "worst_ms": round(lags[-1]),
    }


def _say_and_wait(client: http.client.HTTPConnection, text: str, timeout_s: float = 60) -> float:
    conversation = f"/v1/conversations/{text.replace(' ', '-')}"
    reply = _request(client, "POST", conversation + "/messages", {"content": f"Tell me about {text}."})
    began = time.perf_counter()
    while time.perf_counter() - began < timeout_s:
        found = _request(client, "GET", conversation)
        if found.get("usage") == reply["usage"] and found["message_count"] == 2:
            return (time.perf_counter() - began) * 1000
        time.sleep(POLL_S)
    raise TimeoutError(f"{conversation} did not show the reply's figures within {timeout_s} s")


def _request(client: http.client.HTTPConnection, method: str, path: str, body: object = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} if body else {}
    client.request(method, path, json.dumps(body) if body else None, headers)
    answer: dict[str, Any] = json.loads(client.getresponse().read())
    return answer


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
