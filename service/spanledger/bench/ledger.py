"""How fast the books are kept: settlement, its lag under load, its cost as history grows, audit and re-pricing.

Settlement is measured on three kinds of traffic: recorded (bench/recorded.py), varied (bench/varied.py) and alike.

Alike, as in all the rest: traces of ten spans as a LangGraph chat service makes them (server, workflow, two nodes, one
model call seen by two instrumentations, a second model call, a tool, two HTTP client spans). They land in otel_traces,
as the loader puts them there, and the view carries them on; settlement reads them in their own words. History is
written to genai_spans and ledger as settlement leaves them.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanledger.bench import ingest, landing, recorded, sender, steps, varied
from spanledger.bench.sender import Plan, sending
from spanledger.bench.system import System
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.settler import settle_once
from spanledger.runtime import memory
from spanledger.settings import Settings
from spanledger.store.client import Store, open_embedded
from spanledger.store.migrate import migrate

SPANS_PER_TRACE = 10
_WARM_S = 5.0
_FIRST_RUNS = 2
_PER_REQUEST = 512  # spans, as an SDK's batch
_TRACES = """
(
    SELECT number, number % 10 + 1 AS position, intDiv(number, 10) AS turn,
        [0, 0, 1, 1, 2, 4, 2, 3, 5, 6][position] AS parent,
        lower(hex(MD5(concat({seed:String}, toString(turn))))) AS trace,
        lower(hex(cityHash64({seed:String}, number))) AS span,
        if(position = 1, '', lower(hex(cityHash64({seed:String}, number - (number % 10) + parent)))) AS above,
        ['http', 'app', 'app', 'app', 'openinference.instrumentation.langchain',
            'opentelemetry.instrumentation.openai_v2', 'opentelemetry.instrumentation.openai_v2', 'app', 'http', 'http']
            [position] AS told_by,
        ['POST', 'invoke_workflow chat', 'model', 'tools', 'ChatOpenAI', 'chat gpt-4o-mini', 'chat gpt-4o-mini',
            'execute_tool calculator', 'POST', 'POST'][position] AS name,
        now64(9) - toIntervalMillisecond(cityHash64(turn) % {spread_ms:UInt64}) + toIntervalMillisecond(position)
            AS started,
        toInt64(50 + cityHash64({seed:String}, turn, position = 7) % 3000) AS tokens_in,
        toInt64(5 + cityHash64(turn, position = 7, {seed:String}) % 500) AS tokens_out,
        concat('chatcmpl-', {seed:String}, toString(number)) AS answer,
        concat('conversation-', {seed:String}, toString(intDiv(turn, 5))) AS conversation,
        concat('user-', toString(turn % 5000)) AS person
    FROM numbers({first:UInt64}, {count:UInt64})
)
"""
_LANDING = f"""
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ScopeName, Duration,
    StatusCode, SpanAttributes)
SELECT started, trace, span, above, name, 'Internal', 'chat-service', told_by, 2000000, 'Ok',
    CAST(multiIf(
        position = 1, [('session.id', conversation), ('user.id', person), ('http.request.method', 'POST'),
            ('http.response.status_code', '200'), ('url.path', '/v1/chat')],
        position = 2, [('gen_ai.operation.name', 'invoke_workflow'), ('gen_ai.workflow.name', 'chat')],
        position IN (3, 4), [('langgraph.node', name)],
        position = 5, [('openinference.span.kind', 'LLM'), ('llm.model_name', 'gpt-4o-mini-2024-07-18'),
            ('llm.provider', 'openai'), ('llm.system', 'openai'), ('llm.token_count.prompt', toString(tokens_in)),
            ('llm.token_count.completion', toString(tokens_out)),
            ('llm.token_count.total', toString(tokens_in + tokens_out)),
            ('llm.invocation_parameters', '{{"model": "gpt-4o-mini", "temperature": 0.2}}')],
        position IN (6, 7), [('gen_ai.operation.name', 'chat'), ('gen_ai.provider.name', 'openai'),
            ('gen_ai.request.model', 'gpt-4o-mini'), ('gen_ai.response.model', 'gpt-4o-mini-2024-07-18'),
            ('gen_ai.response.id', answer), ('gen_ai.response.finish_reasons', '["stop"]'),
            ('gen_ai.usage.input_tokens', toString(tokens_in)), ('gen_ai.usage.output_tokens', toString(tokens_out)),
            ('gen_ai.request.temperature', '0.2'), ('server.address', 'api.openai.com'), ('server.port', '443')],
        position = 8, [('gen_ai.operation.name', 'execute_tool'), ('gen_ai.tool.name', 'calculator')],
        [('http.request.method', 'POST'), ('server.address', 'api.openai.com'), ('http.response.status_code', '200')]),
        'Map(LowCardinality(String), String)')
FROM {_TRACES}
"""
_SETTLED_SPANS = f"""
INSERT INTO genai_spans (tenant, trace_id, span_id, parent_span_id, version, started_at, duration_ns, service, scope,
    span_name, dialect, role, operation, provider, request_model, response_model, response_id, status, conversation_id,
    user_id, workflow, tool, input_tokens, output_tokens, received_at)
SELECT 'default', trace, span, above, toUInt128(number), started, 2000000, 'chat-service', told_by, name, '',
    ['', 'workflow', 'other', 'other', 'inference', 'inference', 'inference', 'tool', '', ''][position],
    if(position IN (5, 6, 7), 'chat', ''),
    if(position IN (5, 6, 7), 'openai', ''), if(position IN (5, 6, 7), 'gpt-4o-mini', ''),
    if(position IN (5, 6, 7), 'gpt-4o-mini-2024-07-18', ''), if(position IN (6, 7), answer, ''), 'ok',
    if(position = 1, conversation, ''), if(position = 1, person, ''), if(position = 2, 'chat', ''),
    if(position = 8, 'calculator', ''), if(position IN (5, 6, 7), toNullable(tokens_in), NULL),
    if(position IN (5, 6, 7), toNullable(tokens_out), NULL), now64(3)
FROM {_TRACES}
"""
_SETTLED_ENTRIES = f"""
INSERT INTO ledger (posted_at, reason, kind, tenant, trace_id, span_id, started_at, conversation_id, message_id,
    user_id, service, operation, provider, model, workflow, status, cost_state, llm_calls, computed_calls, input_tokens,
    output_tokens, cost_usd, tool_calls, messages, duration_ns)
SELECT now64(6), 'settle', ['message', 'call', 'call', 'tool'][indexOf([1, 6, 7, 8], position)], 'default', trace,
    if(position = 1, '', span), started, conversation, trace, person, 'chat-service',
    if(position IN (6, 7), 'chat', ''), if(position IN (6, 7), 'openai', ''),
    if(position IN (6, 7), 'gpt-4o-mini-2024-07-18', ''), 'chat', 'ok', if(position IN (6, 7), 'computed', ''),
    position IN (6, 7), position IN (6, 7), if(position IN (6, 7), tokens_in, 0), if(position IN (6, 7), tokens_out, 0),
    toDecimal128(if(position IN (6, 7), tokens_in * 0.00000015, 0), 15), position = 8, if(position = 1, 2, 0),
    2000000
FROM {_TRACES}
WHERE position IN (1, 6, 7, 8)
"""


def run(
    spans: int = 500_000,
    history: tuple[int, ...] = (1_000_000, 20_000_000),
    reprice_calls: int = 1_000_000,
    captures: Path | None = None,
) -> dict[str, Any]:
    """All figures as one JSON-ready dictionary; takes half an hour, most of it making history."""
    settlements: dict[str, Callable[[], dict[str, Any]]] = {
        "recorded": lambda: settlement(spans // 5, lambda count, seed: recorded.bodies(count, captures, seed)),
        "varied": lambda: settlement(spans // 5, varied.bodies),
        "alike": lambda: settlement(spans),
    }
    return {
        "settlement": {
            name: _noted(f"settlement of {name} traffic", measure())
            for name, measure in steps.counted("settlement", settlements.items(), "kinds of traffic")
        },
        "lag": _noted("lag", lag()),
        "history": [
            _noted("settlement beside history", with_history(size))
            for size in steps.counted("settlement beside history", history, "sizes")
        ],
        "reprice": _noted("re-pricing", repricing(reprice_calls)),
    }


def _noted(what: str, figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, of which a note tells at once: the next ones take minutes."""
    steps.note(f"{what}: {figures}")
    return figures


@contextmanager
def _system() -> Iterator[tuple[Store, Ledger]]:
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    store = open_embedded(folder)
    try:
        migrate(store)
        memory.collect_less()  # as `up` does
        yield store, Ledger(store, Settings(data_dir=folder))
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)


def _make(store: Store, sql: str, count: int, seed: str, spread_s: int = 3600) -> None:
    step = 1_000_000
    for start in range(0, count, step):
        size = min(step, count - start)
        store.command(sql, {"seed": seed, "first": start, "count": size, "spread_ms": spread_s * 1000})


Bodies = Callable[[int, int], Iterator[tuple[bytes, int]]]  # at least so many spans, and the seed


def settlement(spans: int, bodies: Bodies | None = None) -> dict[str, Any]:
    """Spans per second from queue to ledger and all rollups; of traffic that comes as `bodies`, else of spans alike."""
    with _system() as (store, ledger):
        if bodies is None:
            _make(store, _LANDING, 20_000, "warm")
            ledger.settler.settle_now()
            _make(store, _LANDING, spans, "s")
        else:
            landing.land(store, bodies(5_000, 1))
            ledger.settler.settle_now()
            spans = landing.land(store, bodies(spans, 2))
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
    """How long after its acknowledgement the oldest span of a settlement stands in the books, settlement by settlement,
    while a running `up` gets `rate` spans/s over HTTP from another process."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    lags: dict[str, int] = {}
    try:
        with System(folder / "data", patient=False) as system:
            with sending(Plan(system.endpoint("http"), "http", _WARM_S, rate / 5)) as process:
                sender.report(process)
            ingest.settled(system)
            cpu = sum(system.cpu_seconds().values())
            plan = Plan(system.endpoint("http"), "http", seconds, rate, _PER_REQUEST)
            with sending(plan) as process:
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    settlement = system.health()["settlement"]
                    lags[settlement["last_run_at"]] = settlement["lag_ms"]
                    time.sleep(0.1)
                sent = sender.report(process)
            cpu = sum(system.cpu_seconds().values()) - cpu
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    settlements = list(lags.values())[_FIRST_RUNS:]  # the first ones are those of the warm-up
    return {
        "spans_per_s": round(sent.spans / sent.seconds),
        "cores_used": round(cpu / sent.seconds, 2),
        "lag_ms": ingest.percentiles([float(ms) for ms in settlements]),
    }


def with_history(size: int) -> dict[str, Any]:
    """Time to settle 2,000 fresh spans when `size` settled spans lie in the books already."""
    with _system() as (store, ledger):
        for sql in (_SETTLED_SPANS, _SETTLED_ENTRIES):
            _make(store, sql, size, "h", spread_s=20 * 86400)
        for _ in range(60):
            if not store.scalar("SELECT count() FROM system.merges"):
                break
            time.sleep(1)
        times, cpu_times = [], []
        for turn in range(20):
            _make(store, _LANDING, 2_000, f"fresh{turn}-", spread_s=1)
            began, cpu = time.perf_counter(), time.process_time()
            settle_once(store, ledger.prices)
            times.append((time.perf_counter() - began) * 1000)
            cpu_times.append((time.process_time() - cpu) * 1000)
    times.sort()
    cpu_times.sort()
    return {
        "history_spans": size,
        "settle_2000_spans_ms_p50": round(times[10]),
        "worst_ms": round(times[-1]),
        "cpu_ms_p50": round(cpu_times[10]),
    }


def repricing(calls: int) -> dict[str, Any]:
    """Re-pricing of `calls` calls, its undoing, and whether the last digit came back."""
    with _system() as (store, ledger):
        _make(store, _LANDING, calls // 2 * SPANS_PER_TRACE, "r")  # two calls a trace
        ledger.settler.settle_now()
        before = store.scalar("SELECT sum(cost_usd) FROM ledger")
        folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
        book = folder / "dearer.yaml"
        book.write_text(_DEARER)
        started, ended = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        began, cpu = time.perf_counter(), time.process_time()
        result = ledger.reprice(started, ended, book)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        after = store.scalar("SELECT sum(cost_usd) FROM ledger")
        began = time.perf_counter()
        ledger.undo_reprice(result.reprice_id)
        undo = time.perf_counter() - began
        restored = store.scalar("SELECT sum(cost_usd) FROM ledger")
        shutil.rmtree(folder)
    return {
        "calls": calls,
        "seconds": round(took, 1),
        "cpu_seconds": round(cpu, 1),
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
