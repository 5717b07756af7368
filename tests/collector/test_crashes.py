"""What senders were told is accepted survives the death of the Collector, of the server, and of both."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_collector import PROTOBUF, until

from otlp_make import trace_request
from real_collector import Collector, skip_without_collector
from real_server import Server, skip_without_engine
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import Store

SPANS = 50  # of one request; each is one LLM call of ten tokens
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 8,
    "gen_ai.usage.output_tokens": 2,
}


class Senders:
    """Threads that send requests until stopped; like OTLP senders they repeat each until it is accepted."""

    def __init__(self, collector: Collector, count: int = 2) -> None:
        self._collector = collector
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self.accepted = 0
        self.repeated = 0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            spans = [{"name": "chat", "attributes": CALL} for _ in range(SPANS)]
            body = trace_request(*spans).SerializeToString()
            while not self._sent(body):
                with self._guard:
                    self.repeated += 1
                if self._stop.wait(0.05):
                    return
            with self._guard:
                self.accepted += SPANS

    def _sent(self, body: bytes) -> bool:
        try:
            return self._collector.send("traces", PROTOBUF, body) == 200
        except OSError:
            return False

    def wait_for(self, more: int) -> None:
        goal = self.accepted + more
        until(lambda: self.accepted >= goal, f"fewer than {goal} spans were accepted", seconds=60 + more / 500)

    def stop(self) -> int:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return self.accepted


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """One that may be killed."""
    skip_without_engine()
    skip_without_collector()
    server = Server(tmp_path / "server").start()
    store = server.open()
    migrate.migrate(store)
    store.close()
    yield server
    server.kill()


def distinct(store: Store) -> int:
    return int(store.scalar("SELECT uniqExact(trace_id, span_id) FROM genai_spans") or 0)


def missing_in_views(store: Store) -> int:
    return int(
        store.scalar(
            "SELECT count() FROM otel_traces WHERE (TraceId, SpanId) NOT IN (SELECT trace_id, span_id FROM genai_spans)"
        )
        or 0
    )


@pytest.mark.parametrize(
    "during_outage",
    [2_000, pytest.param(600_000, marks=pytest.mark.slow)],  # the second: two minutes of 5,000 spans a second
)
def test_nothing_accepted_is_lost_when_collector_and_server_are_killed(
    own_server: Server, during_outage: int, tmp_path: Path
) -> None:
    collector = Collector(tmp_path / "collector", own_server).start()
    senders = Senders(collector)
    senders.wait_for(2000)
    collector.kill()
    collector.start()
    senders.wait_for(2000)
    own_server.kill()
    senders.wait_for(during_outage)  # accepted while the server is away
    own_server.start()
    senders.wait_for(2000)
    collector.kill()
    own_server.kill()
    own_server.start()
    collector.start()
    senders.wait_for(1000)
    accepted = senders.stop()
    store = own_server.open()
    until(
        lambda: distinct(store) >= accepted and collector.metric("otelcol_exporter_queue_size") == 0,
        "accepted spans are missing",
        seconds=60 + during_outage / 1_000,
    )
    ledger = Ledger(store, Settings(data_dir=tmp_path))
    ledger.recover()
    ledger.settler.settle_now()
    known = distinct(store)
    # A sender that was cut off before its answer sends again with the same ids: never more than was tried.
    assert accepted <= known <= accepted + 2 * SPANS
    assert missing_in_views(store) == 0
    for table in ("ledger", "message_usage", "usage_1m"):
        assert store.query(f"SELECT sum(llm_calls), sum(input_tokens + output_tokens) FROM {table}") == [
            (known, 10 * known)
        ], table
    assert collector.metric("otelcol_exporter_enqueue_failed_spans_total") == 0
    store.close()
    collector.stop()
