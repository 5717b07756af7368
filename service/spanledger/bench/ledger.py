"""How fast the books are kept: settlement, its lag under load, its cost as history grows, audit and re-pricing.

Data: synthetic traces of ten spans as a LangGraph chat service makes them (server, workflow, two nodes, one model call
seen by two instrumentations, a second model call, a tool, two HTTP client spans), written to genai_spans by SQL.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanledger.ledger.ledger import Ledger
from spanledger.ledger.settler import settle_once
from spanledger.settings import Settings
from spanledger.store.client import Store, open_embedded
from spanledger.store.migrate import migrate

SPANS_PER_TRACE = 10
_SPANS = """
INSERT INTO genai_spans (tenant, trace_id, span_id, parent_span_id, version, started_at, duration_ns, service, scope,
    span_name, role, operation, provider, request_model, response_model, conversation_id, user_id, workflow, tool,
    status, input_tokens, output_tokens, response_id, received_at)
SELECT
    'default',
    lower(hex(MD5(concat({seed:String}, toString(intDiv(number, 10)))))) AS trace,
    lower(hex(cityHash64({seed:String}, number))),
    if(number % 10 = 0, '', lower(hex(cityHash64({seed:String}, number - (number % 10) + parent)))),
    toUInt128(number),
    started,
    2000000,
    'chat-service',
    ['http', 'app', 'app', 'app', 'langchain', 'openai', 'openai', 'app', 'http', 'http'][position],
    ['POST', 'invoke_workflow chat', 'model', 'tools', 'ChatOpenAI', 'chat', 'chat', 'execute_tool', 'GET', 'GET']
        [position],
    ['', 'workflow', 'chain', 'chain', 'inference', 'inference', 'inference', 'tool', '', ''][position],
    if(position IN (5, 6, 7), 'chat', ''),
    if(position IN (5, 6, 7), 'openai', ''),
    if(position IN (5, 6, 7), 'gpt-4o-mini', ''),
    if(position IN (5, 6, 7), 'gpt-4o-mini-2024-07-18', ''),
    if(position = 1, concat('conversation-', {seed:String}, toString(intDiv(number, 50))), ''),
    if(position = 1, concat('user-', toString(intDiv(number, 10) % 5000)), ''),
    if(position = 2, 'chat', ''),
    if(position = 8, 'calculator', ''),
    'ok',
    if(position IN (5, 6, 7), toNullable(toInt64(50 + cityHash64(intDiv(number, 10), position = 7) % 3000)), NULL),
    if(position IN (5, 6, 7), toNullable(toInt64(5 + cityHash64(intDiv(number, 10), position = 7) % 500)), NULL),
    if(position IN (6, 7), concat('chatcmpl-', {seed:String}, toString(number)), ''),
    now64(3)
FROM
(
    SELECT number, number % 10 + 1 AS position, [0, 0, 1, 1, 2, 4, 2, 3, 5, 6][number % 10 + 1] AS parent,
        now64(9) - toIntervalMillisecond(cityHash64(intDiv(number, 10)) % {spread_ms:UInt64})
            + toIntervalMillisecond(number % 10) AS started
    FROM numbers({first:UInt64}, {count:UInt64})
)
"""


def run(
    spans: int = 500_000, history: tuple[int, ...] = (1_000_000, 20_000_000), reprice_calls: int = 1_000_000
) -> dict[str, Any]:
    """All figures as one JSON-ready dictionary; takes minutes, most of it making history."""
    return {
        "settlement": settlement(spans),
        "lag": lag(),
        "history": [with_history(size) for size in history],
        "reprice": repricing(reprice_calls),
    }


@contextmanager
def _system() -> Iterator[tuple[Store, Ledger]]:
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    store = open_embedded(folder)
    try:
        migrate(store)
        yield store, Ledger(store, Settings(data_dir=folder))
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)


def _make(store: Store, count: int, seed: str, spread_s: int = 3600, first: int = 0) -> None:
    step = 2_000_000
    for start in range(first, first + count, step):
        size = min(step, first + count - start)
        store.command(_SPANS, {"seed": seed, "first": start, "count": size, "spread_ms": spread_s * 1000})


def settlement(spans: int) -> dict[str, Any]:
    """Spans per second from queue to ledger and all rollups."""
    with _system() as (store, ledger):
        _make(store, 20_000, "warm")
        ledger.settler.settle_now()
        _make(store, spans, "s")
        began, cpu = time.perf_counter(), time.process_time()
        entries = ledger.settler.settle_now()
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "spans": spans,
        "entries": entries,
        "seconds": round(took, 2),
        "spans_per_s": round(spans / took),
        "cpu_us_per_span": round(cpu / spans * 1e6, 1),
    }


def lag(rate: int = 10_000, seconds: int = 20) -> dict[str, Any]:
    """How long after spans landed their figures stand in the ledger, at `rate` spans/s in ten inserts a second.

    A sender thread inserts on its own clock; each insert's lag ends when the sum of messages has reached it.
    """
    with _system() as (store, ledger):
        _make(store, 1000, "warm")
        ledger.settler.settle_now()
        landed: list[tuple[float, int]] = []  # when an insert returned, messages expected by then
        sender = threading.Thread(target=_send, args=(store, ledger, rate, seconds, landed))
        ledger.settler.start()
        began = time.perf_counter()
        sender.start()
        lags: list[float] = []
        seen = 0
        while len(lags) < seconds * 10:
            time.sleep(0.02)
            seen = int(store.scalar("SELECT sum(messages) FROM usage_1m") or 0)
            at = time.perf_counter()
            while len(lags) < len(landed) and landed[len(lags)][1] <= seen:
                lags.append((at - landed[len(lags)][0]) * 1000)
            if at - began > seconds * 10:
                raise TimeoutError(f"settlement reached {seen} messages of {landed[-1][1]}")
        sender.join()
        took = time.perf_counter() - began
        ledger.settler.stop()
    lags.sort()
    return {
        "spans_per_s": round(rate * seconds / took),
        "p50_ms": round(lags[len(lags) // 2]),
        "p99_ms": round(lags[int(len(lags) * 0.99)]),
        "worst_ms": round(lags[-1]),
    }


def _send(store: Store, ledger: Ledger, rate: int, seconds: int, landed: list[tuple[float, int]]) -> None:
    messages = 2 * 1000 // SPANS_PER_TRACE
    began = time.perf_counter()
    for tick in range(seconds * 10):
        time.sleep(max(0.0, began + tick / 10 - time.perf_counter()))
        _make(store, rate // 10, f"l{tick}-", spread_s=1)
        messages += 2 * (rate // 10) // SPANS_PER_TRACE
        landed.append((time.perf_counter(), messages))
        ledger.settler.wake()


def with_history(size: int) -> dict[str, Any]:
    """Time to settle 2,000 fresh spans when `size` settled spans lie in the books already."""
    with _system() as (store, ledger):
        _make(store, size, "h", spread_s=20 * 86400)
        # History counts as settled: what is measured is the cost of finding and reading the fresh traces in it.
        store.command("TRUNCATE TABLE settle_queue")
        for _ in range(60):
            if not store.scalar("SELECT count() FROM system.merges"):
                break
            time.sleep(1)
        times = []
        for turn in range(20):
            _make(store, 2_000, f"fresh{turn}-", spread_s=1)
            began = time.perf_counter()
            settle_once(store, ledger.prices)
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"history_spans": size, "settle_2000_spans_ms_p50": round(times[10]), "worst_ms": round(times[-1])}


def repricing(calls: int) -> dict[str, Any]:
    """Re-pricing of `calls` calls, its undoing, and whether the last digit came back."""
    with _system() as (store, ledger):
        _make(store, calls // 2 * SPANS_PER_TRACE, "r")  # two calls a trace
        ledger.settler.settle_now()
        before = store.scalar("SELECT sum(cost_usd) FROM ledger")
        folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
        book = folder / "dearer.yaml"
        book.write_text(_DEARER)
        started, ended = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        began = time.perf_counter()
        result = ledger.reprice(started, ended, book)
        took = time.perf_counter() - began
        after = store.scalar("SELECT sum(cost_usd) FROM ledger")
        began = time.perf_counter()
        ledger.undo_reprice(result.reprice_id)
        undo = time.perf_counter() - began
        restored = store.scalar("SELECT sum(cost_usd) FROM ledger")
        shutil.rmtree(folder)
    return {
        "calls": calls,
        "seconds": round(took, 1),
        "undo_seconds": round(undo, 1),
        "old_usd": str(before),
        "new_usd": str(after),
        "restored": restored == before,
    }


_DEARER = """
format: 1
prices:
  - provider: openai
    model: gpt-4o-mini-2024-07-18
    usd_per_million_tokens: {input: 0.30, output: 1.20}
"""
