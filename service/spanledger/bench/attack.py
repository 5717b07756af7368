"""Whether one tenant's good traffic is served, and nothing of it lost, while another tenant attacks (attacker.py).

First the good traffic alone, then beside each kind of attack, then beside all of them at once: what it waits for, and
the books of the good tenant at the end.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from spanledger.bench import attacker, ingest
from spanledger.bench.system import System, Watch
from spanledger.bench.traffic import Body
from spanledger.settings import NO_SETTINGS_FILE

_ALONE = 0.2  # of the time that the attack takes, the good traffic is measured alone
_EACH, _EACH_S = 1 / 60, 5.0  # and beside each kind of attack; seconds at least
_SEND_EVERY_S = 0.2
_READ_EVERY_S = 0.25
_READS = ("/v1/usage?from=-1h", "/v1/messages?limit=20", "/v1/conversations?limit=20", "/v1/realtime", "/healthz")
_SETTLED_WITHIN_S = 300.0
_KEPT = (
    "SELECT count(), uniqExact(trace_id, span_id) FROM genai_spans WHERE service = 'chat-service' AND normalised = 1"
)
Waits = dict[str, list[float]]  # ms, by kind of request


def run(minutes: float = 30.0) -> dict[str, Any]:
    """Milliseconds that good traffic waited, alone and beside the attack; good spans sent and in the books; how the
    attacks were answered."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-attack-"))
    keys = {tenant: _key(folder / "data", tenant) for tenant in ("good", "evil")}
    try:
        with System(folder / "data", patient=False) as system:
            return _measured(system, keys, minutes * 60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(system: System, keys: dict[str, str], seconds: float) -> dict[str, Any]:
    good = _Good(system, keys["good"])
    alone = good.served(seconds * _ALONE)
    one_by_one = {
        kind: _one_kind(system, good, keys["evil"], kind, max(_EACH_S, seconds * _EACH)) for kind in attacker.KINDS
    }
    with Watch(system.memory_mib, every_s=1.0) as memory:
        answers, beside = _beside(good, _plan(system, keys["evil"], seconds))
        peak = memory.peak()
    return {
        "minutes": round(seconds / 60, 1),
        "load_average": round(os.getloadavg()[0], 1),
        "alone_ms": _figures(alone),
        "beside_ms": _figures(beside),
        "p99_ratio": {name: _ratio(alone[name], beside[name]) for name in beside if name in alone},
        "good_spans": good.sent,
        "good_refused": good.refused,
        "good_in_the_books": good.kept(),
        "peak_memory_mib": peak,
        "one_by_one": one_by_one,
        "attacks": answers,
    }


def _one_kind(system: System, good: "_Good", key: str, kind: str, seconds: float) -> dict[str, Any]:
    """The longest waits (ms) beside one kind of attack, and the peak of memory."""
    with Watch(system.memory_mib, every_s=0.5) as memory:
        answers, waits = _beside(good, _plan(system, key, seconds, kind))
        peak = memory.peak()
    longest = {name: round(max(values), 1) for name, values in waits.items()}
    return {"attacks": sum(answers.get(kind, {}).values()), "longest_ms": longest, "peak_memory_mib": peak}


def _plan(system: System, key: str, seconds: float, kind: str = "") -> attacker.Plan:
    return attacker.Plan(str(system.client.base_url), system.endpoint("http"), key, seconds, kind=kind)


def _beside(good: "_Good", plan: attacker.Plan) -> tuple[dict[str, Any], Waits]:
    command = ["nice", sys.executable, "-m", "spanledger.bench.attacker", json.dumps(asdict(plan))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it begins
        waits = good.served(plan.seconds)
        answers: dict[str, Any] = json.loads(process.communicate()[0])
    return answers, waits


class _Good:
    """A tenant that sends a trace five times a second, and looks at its figures."""

    def __init__(self, system: System, key: str) -> None:
        self.sent, self.refused = 0, 0
        says = {"Authorization": f"Bearer {key}"}
        self._api = system.new_client()
        self._api.headers.update(says)
        self._otlp = httpx.Client(base_url=system.endpoint("http"), headers=says, timeout=120)
        self._body = Body(random.Random(), 1)

    def served(self, seconds: float) -> Waits:
        waits: Waits = defaultdict(list)
        until = time.monotonic() + seconds
        sending = threading.Thread(target=self._send_until, args=(until, waits))
        sending.start()
        self._read_until(until, waits)
        sending.join()
        return waits

    def _send_until(self, until: float, waits: Waits) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        while time.monotonic() < until:
            body, began = self._body.fresh(), time.monotonic()
            accepted = self._otlp.post("/v1/traces", content=body, headers=headers).status_code == 200
            waits["spans"].append((time.monotonic() - began) * 1000)
            self.sent += self._body.spans * accepted
            self.refused += not accepted
            time.sleep(max(0.0, began + _SEND_EVERY_S - time.monotonic()))

    def _read_until(self, until: float, waits: Waits) -> None:
        turn = 0
        while time.monotonic() < until:
            path, began = _READS[turn % len(_READS)], time.monotonic()
            status = self._api.get(path).status_code
            name = "alive" if path == "/healthz" else "reads" if status < 500 else "failed"
            waits[name].append((time.monotonic() - began) * 1000)
            turn += 1
            time.sleep(max(0.0, began + _READ_EVERY_S - time.monotonic()))

    def kept(self) -> int:
        """How many spans are settled, each counted once."""
        until = time.monotonic() + _SETTLED_WITHIN_S
        while True:
            answer = self._api.post("/v1/sql", json={"query": _KEPT})
            once = int(answer.json()["data"][0][1]) if answer.status_code == 200 else 0
            if once >= self.sent or time.monotonic() > until:
                return once
            time.sleep(1.0)


def _key(data_dir: Path, tenant: str) -> str:
    command = [sys.executable, "-m", "spanledger.cli", "keys", "create", "--tenant", tenant, "--role", "admin"]
    return subprocess.check_output(
        [*command, "--data-dir", str(data_dir)], text=True, env=os.environ | NO_SETTINGS_FILE
    ).strip()


def _figures(waits: Waits) -> dict[str, Any]:
    return {name: ingest.percentiles(values) for name, values in waits.items()}


def _ratio(alone: list[float], beside: list[float]) -> float:
    """Of the 99th percentiles."""
    one, two = (statistics.quantiles(values, n=100, method="inclusive")[98] for values in (alone, beside))
    return round(two / one, 2)
