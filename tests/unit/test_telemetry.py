"""Emission: the ids, what is lost and counted, what failures do to the request (nothing)."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from otlp_sink import Sink
from spanledger import telemetry
from spanledger.access.reports import Reports
from spanledger.pricing import Usage
from spanledger.telemetry import GenAI, InferenceRequest, InferenceResult, Telemetry, audit, ids, processors, setup


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def emission(sink: Sink) -> Iterator[Telemetry]:
    running = telemetry.start(sink.endpoint)
    yield running
    running.shutdown()


def test_an_inference_is_one_whole_span(sink: Sink, emission: Telemetry) -> None:
    request = InferenceRequest("openai", "gpt-x", stream=True, parameters={"temperature": 0.2, "n": 2, "stop": "END"})
    with GenAI(emission).inference(request) as call:
        call.chunk()
        call.answer(
            InferenceResult(
                usage=Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=4, reasoning_output_tokens=2),
                response_id="r-1",
                model="gpt-x-2026",
                finish_reasons=["stop", "length"],
                service_tier="flex",
                cost_usd=Decimal("0.00125"),
                cost_source="provider",
            )
        )
    emission.flush()

    span = sink.one("chat gpt-x")
    assert span.kind == SpanKind.CLIENT.value + 1  # OTLP counts from "unspecified"
    assert span.status == 0
    assert span.attributes.pop("gen_ai.response.time_to_first_chunk") > 0
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.choice.count": 2,
        "spanledger.attempt": 1,
        "gen_ai.response.id": "r-1",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.finish_reasons": ["stop", "length"],
        "openai.response.service_tier": "flex",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.cost.amount": 0.00125,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "provider",
    }


def test_words_of_a_request_and_of_an_exception_are_told_where_content_is_captured(sink: Sink) -> None:
    emission = telemetry.start(sink.endpoint, capture_content=True)
    try:
        with GenAI(emission).inference(InferenceRequest("openai", "gpt-x", parameters={"stop": ["END", "FIN"]})):
            pass
        with GenAI(emission).inference(
            InferenceRequest("openai", "gpt-y", parameters={"reasoning_effort": "a little"})
        ):
            pass
        try:
            raise LookupError("lost")
        except LookupError:
            logging.getLogger("spanledger.test").exception("it failed")
        emission.flush()
    finally:
        emission.shutdown()
    assert sink.one("chat gpt-x").attributes["gen_ai.request.stop_sequences"] == ["END", "FIN"]
    assert sink.one("chat gpt-y").attributes["gen_ai.request.reasoning.level"] == "a little"
    (entry,) = sink.logs
    assert entry.attributes["exception.message"] == "lost"
    assert "LookupError: lost" in entry.attributes["exception.stacktrace"]


def test_a_failing_block_ends_its_span_with_what_was_known(sink: Sink, emission: Telemetry) -> None:
    with pytest.raises(ValueError), GenAI(emission).inference(InferenceRequest("p", "m")) as call:  # noqa: PT012
        call.answer(InferenceResult(usage=Usage(input_tokens=3, output_tokens=1), usage_estimated=True))
        raise ValueError("first line\nsecond line")
    emission.flush()

    span = sink.one("chat m")
    assert (span.status, span.description) == (2, "first line")
    assert span.attributes["error.type"] == "ValueError"
    assert span.attributes["gen_ai.usage.input_tokens"] == 3
    assert span.attributes["spanledger.usage.estimated"] is True


def test_unknown_counts_are_absent_not_zero(sink: Sink, emission: Telemetry) -> None:
    with GenAI(emission).inference(InferenceRequest("p", "m")) as call:
        call.answer(InferenceResult(usage=Usage(input_tokens=3)))
    emission.flush()

    told = sink.one("chat m").attributes
    assert told["gen_ai.usage.input_tokens"] == 3
    assert not [key for key in told if key.startswith("gen_ai.usage") and key != "gen_ai.usage.input_tokens"]


def test_ids_reach_spans_and_logs_of_tasks_and_threads(sink: Sink, emission: Telemetry) -> None:
    tracer = emission.tracer("test")
    log = logging.getLogger("spanledger.test")

    def in_thread() -> None:
        with tracer.start_as_current_span("thread"):
            log.info("from the thread")

    async def request() -> None:
        with ids.carry(conversation_id="c", user_id="u"), tracer.start_as_current_span("outer"):
            with ids.carry(tool="calculator"):
                await asyncio.to_thread(in_thread)
            await asyncio.create_task(asyncio.sleep(0))
            with tracer.start_as_current_span("inner"):
                pass

    asyncio.run(request())
    with tracer.start_as_current_span("after"):
        pass
    emission.flush()

    known = {"gen_ai.conversation.id": "c", "user.id": "u"}
    assert sink.one("outer").attributes == known
    assert sink.one("inner").attributes == known
    assert sink.one("thread").attributes == known | {"gen_ai.tool.name": "calculator"}
    assert sink.one("after").attributes == {}
    (entry,) = sink.logs
    assert entry.attributes.items() >= (known | {"gen_ai.tool.name": "calculator"}).items()
    assert (entry.trace_id, entry.span_id) == (sink.one("thread").trace_id, sink.one("thread").span_id)


def test_log_records_carry_severity_place_and_exception(sink: Sink, emission: Telemetry) -> None:
    """The exception's type and place: its words may quote a user, and content is not captured."""
    log = logging.getLogger("spanledger.test")
    try:
        lost = LookupError("lost" + " words")
        raise lost
    except LookupError:
        log.exception("it %s", "failed")
    log.debug("too quiet")
    logging.getLogger("opentelemetry.anything").error("about exporting itself")
    emission.flush()

    (entry,) = sink.logs
    assert (entry.body, entry.severity, entry.scope) == ("it failed", "ERROR", "spanledger.test")
    assert entry.attributes["exception.type"] == "LookupError"
    assert "exception.message" not in entry.attributes
    assert "raise lost" in entry.attributes["exception.stacktrace"]
    assert "lost words" not in entry.attributes["exception.stacktrace"]
    assert entry.attributes["code.function.name"] == "test_log_records_carry_severity_place_and_exception"


def test_a_collector_that_refuses_costs_spans_which_are_counted_and_no_request(sink: Sink) -> None:
    emission = telemetry.start(sink.endpoint)
    sink.status = 400
    for number in range(20):
        with emission.tracer("test").start_as_current_span(f"span {number}"):
            pass
    assert emission.flush() is False
    sink.status = 200
    with emission.tracer("test").start_as_current_span("later"):
        pass
    assert emission.flush() is True
    emission.shutdown()

    assert emission.dropped()["spans"] == 20
    assert [span.name for span in sink.spans] == ["later"]


def test_a_full_queue_refuses_the_newest_and_counts_them(sink: Sink) -> None:
    exporter, going, gone = _Blocking(), 1, processors.QUEUE_SIZE
    provider = TracerProvider()
    tally = processors.Tally(processors.QUEUE_SIZE)
    provider.add_span_processor(processors.SpanQueue(exporter, tally))
    tracer = provider.get_tracer("test")
    for number in range(going):
        tracer.start_span(f"going {number}").end()
    assert exporter.busy.wait(5)  # the queue is empty and its worker stuck
    for number in range(gone + 7):
        tracer.start_span(f"waiting {number}").end()
    assert tally.dropped == 7
    exporter.release.set()
    provider.shutdown()
    tally.close()

    assert tally.dropped == 7
    assert len(exporter.names) == going + gone
    assert exporter.names[-1] == f"waiting {gone - 1}"


class _Blocking(SpanExporter):
    """Holds the first batch until it is released."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.busy, self.release = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.busy.set()
        assert self.release.wait(30)
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


def test_without_a_collector_nothing_raises_and_shutdown_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    emission = telemetry.start("http://127.0.0.1:1")
    for _ in range(2_000):
        with emission.tracer("test").start_as_current_span("lost"):
            logging.getLogger("spanledger.test").info("lost too")
    started = time.monotonic()
    emission.shutdown(timeout_s=0.5)

    assert time.monotonic() - started < 5
    assert emission.dropped()["spans"] == 2_000
    assert emission.dropped()["logs"] == 2_000


def test_shutdown_sends_what_waits_and_what_comes_after_is_counted(sink: Sink) -> None:
    emission = telemetry.start(sink.endpoint)
    tracer = emission.tracer("test")
    with tracer.start_as_current_span("before"):
        pass
    emission.shutdown()
    with tracer.start_as_current_span("after"):
        pass
    emission.shutdown()

    assert [span.name for span in sink.spans] == ["before"]
    assert emission.dropped()["spans"] == 1


def test_spans_leave_within_a_fraction_of_a_second_on_their_own(sink: Sink, emission: Telemetry) -> None:
    arrived = threading.Event()
    take = sink._take_spans
    sink._take_spans = lambda request: (take(request), arrived.set())[0]  # type: ignore[method-assign]
    with emission.tracer("test").start_as_current_span("soon"):
        pass

    assert arrived.wait(2)


def test_a_request_under_which_nothing_happens_waits_for_other_spans(
    sink: Sink, emission: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "ALONE_DELAY_S", 3600.0)
    arrived = threading.Event()
    take = sink._take_spans
    sink._take_spans = lambda request: (take(request), arrived.set())[0]  # type: ignore[method-assign]
    tracer = emission.tracer("test")
    with tracer.start_as_current_span("GET /v1/usage", kind=SpanKind.SERVER):
        pass
    assert not arrived.wait(0.5)
    with tracer.start_as_current_span("POST /v1/chat", kind=SpanKind.SERVER), tracer.start_as_current_span("work"):
        pass

    assert arrived.wait(5)
    emission.flush()
    assert [span.name for span in sink.spans] == ["GET /v1/usage", "work", "POST /v1/chat"]


def test_a_flush_may_leave_the_metrics_to_their_minute(sink: Sink, emission: Telemetry) -> None:
    with GenAI(emission).inference(InferenceRequest(provider="openai", model="gpt-4o")):
        pass
    assert emission.flush(only="spans")
    assert [span.name for span in sink.spans] == ["chat gpt-4o"]
    assert sink.metrics == {}
    assert emission.flush()
    assert "gen_ai.client.operation.duration" in sink.metrics


def test_a_flush_of_what_the_books_need_leaves_reads_waiting(sink: Sink, emission: Telemetry) -> None:
    with emission.tracer("test").start_as_current_span("GET /v1/usage", kind=SpanKind.SERVER):
        pass
    emission.event("spanledger.audit", "data.read: allowed", {}, can_wait=True)
    assert emission.flush(only="books")
    assert sink.spans == []
    assert sink.logs == []

    with GenAI(emission).inference(InferenceRequest(provider="openai", model="gpt-4o")):
        pass
    emission.event("spanledger.audit", "config.change: allowed", {})
    assert emission.flush(only="books")
    assert [span.name for span in sink.spans] == ["GET /v1/usage", "chat gpt-4o"]
    assert [record.body for record in sink.logs] == ["data.read: allowed", "config.change: allowed"]
    assert sink.metrics == {}


def test_the_record_of_a_read_waits_for_other_records(
    sink: Sink, emission: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "ALONE_DELAY_S", 3600.0)
    arrived = threading.Event()
    take = sink._take_logs
    sink._take_logs = lambda request: (take(request), arrived.set())[0]  # type: ignore[method-assign]
    reports = Reports(emission)
    reports.note(audit.AUDIT, "data.read", "allowed", target="/v1/usage")
    assert not arrived.wait(1.5)
    reports.note(audit.AUDIT, "data.read", "failed", target="/v1/traces/of-another")

    assert arrived.wait(5)
    assert [record.body for record in sink.logs] == ["data.read: allowed", "data.read: failed"]


def test_long_attribute_values_are_cut(sink: Sink, emission: Telemetry) -> None:
    with emission.tracer("test").start_as_current_span("big") as span:
        span.set_attribute("big", "x" * 100_000)
    emission.flush()

    assert len(sink.one("big").attributes["big"]) == 65_536


def test_whoever_invents_names_of_models_does_not_swell_the_metrics(sink: Sink, emission: Telemetry) -> None:
    genai = GenAI(emission)
    for number in range(setup.MAX_SERIES + 50):
        with genai.inference(InferenceRequest(provider="openai", model=f"invented-{number}")):
            pass
    emission.flush()

    told = sink.metrics["gen_ai.client.operation.duration"]
    assert len(told) <= setup.MAX_SERIES + 1  # and the overflow
    assert sum(point.count for _, point in told) == setup.MAX_SERIES + 50


def test_switched_off_it_does_nothing() -> None:
    emission = telemetry.off()
    with GenAI(emission).workflow("chat") as span:
        assert not span.is_recording()
    assert emission.flush() is True
    emission.shutdown()

    assert emission.dropped() == {"spans": 0, "logs": 0, "metric_exports": 0}


def test_the_api_imports_neither_litellm_nor_langgraph() -> None:
    code = (
        "import sys, spanledger.api.app, spanledger.api.chat, spanledger.api.openai_compat, spanledger.workflows.demo;"
        "print([m for m in ('litellm', 'langgraph', 'langchain_core', 'tiktoken', 'chdb') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
