"""Calls in attributes that applications and less known platforms choose themselves, from the door to the books."""

from collections.abc import Iterator
from typing import Any

import pytest

from otlp_make import trace_request
from spanledger.dialects.tables import tables
from spanledger.dialects.words import INPUT_WORDS, OUTPUT_WORDS
from system import WITHOUT_CHAT, System

MINI = "gpt-4o-mini"

# Name of the span, attributes → provider, model, input, cache read, cache write, output; conversation, user.
CALLS: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    "tokens by dots": (
        "llm.request",
        {"llm.vendor": "openai", "llm.model": MINI, "llm.tokens.prompt": 41, "llm.tokens.completion": 7},
        ("openai", MINI, 41, 0, 0, 7, "", ""),
    ),
    "tokens by underscores": (
        "ask",
        {"llm.model": "claude-sonnet-4-5", "llm.tokens_in": 42, "llm.tokens_out": 8, "session_id": "s"},
        ("anthropic", "claude-sonnet-4-5", 42, 0, 0, 8, "s", ""),
    ),
    "input and output before tokens": (
        "infer",
        {"llm.model": "gpt-4o", "llm.input.tokens": 43, "llm.output.tokens": 9},
        ("openai", "gpt-4o", 43, 0, 0, 9, "", ""),
    ),
    "a bare model, and what the cache served": (
        "complete",
        {"model": "gpt-4o", "tokens.input": 44, "tokens.output": 3, "tokens.cached": 20},
        ("openai", "gpt-4o", 44, 20, 0, 3, "", ""),
    ),
    "Ollama's words as attributes": (
        "generate",
        {"gen_ai.system": "ollama", "gen_ai.request.model": "llama3.2", "prompt_eval_count": 45, "eval_count": 4},
        ("ollama", "llama3.2", 45, 0, 0, 4, "", ""),
    ),
    "a model in gen_ai.model_name": (
        "chat",
        {"gen_ai.span.kind": "LLM", "gen_ai.model_name": MINI, "gen_ai.usage.input_tokens": 46,
         "gen_ai.usage.output_tokens": 5},
        ("openai", MINI, 46, 0, 0, 5, "", ""),
    ),
    "a model behind two colons": (
        "model_provider_inference",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": f"openai::{MINI}",
         "gen_ai.usage.input_tokens": 47, "gen_ai.usage.output_tokens": 6},
        ("openai", MINI, 47, 0, 0, 6, "", ""),
    ),
    "DeepEval": (
        "generate",
        {"confident.span.type": "llm", "confident.llm.model": "gpt-4o", "confident.llm.input_token_count": 48,
         "confident.llm.output_token_count": 7, "confident.trace.thread_id": "t", "confident.trace.user_id": "u"},
        ("openai", "gpt-4o", 48, 0, 0, 7, "t", "u"),
    ),
    "Judgment: the input leaves out the cache": (
        "ANTHROPIC_API_CALL",
        {"judgment.span_kind": "llm", "judgment.llm.provider": "anthropic", "judgment.llm.model": "claude-haiku-4-5",
         "judgment.usage.non_cached_input_tokens": 49, "judgment.usage.cache_read_input_tokens": 900,
         "judgment.usage.cache_creation_input_tokens": 51, "judgment.usage.output_tokens": 8,
         "judgment.session_id": "s", "judgment.customer_id": "u"},
        ("anthropic", "claude-haiku-4-5", 1000, 900, 51, 8, "s", "u"),
    ),
    "traceAI": (
        "chat",
        {"fi.span.kind": "LLM", "llm.system": "deepseek", "llm.model": "deepseek-chat", "llm.token_count.prompt": 50,
         "llm.token_count.completion": 9, "user.id": "u"},
        ("deepseek", "deepseek-chat", 50, 0, 0, 9, "", "u"),
    ),
    "agentUniverse: the model in the request's parameters": (
        "au.llm",
        {"au.span.kind": "llm", "au.llm.llm_params": f'{{"model": "{MINI}"}}', "au.llm.usage.prompt_tokens": 51,
         "au.llm.usage.completion_tokens": 10},
        ("openai", MINI, 51, 0, 0, 10, "", ""),
    ),
    "Braintrust: the model in its metadata": (
        "Chat Completion",
        {"braintrust.metadata": f'{{"model": "{MINI}", "provider": "openai"}}',
         "braintrust.metrics": '{"prompt_tokens": 52, "completion_tokens": 11, "prompt_cached_tokens": 20}'},
        ("openai", MINI, 52, 20, 0, 11, "", ""),
    ),
    "HoneyHive": (
        "gpt",
        {"honeyhive_event_type": "model", "honeyhive_config.model": MINI, "honeyhive_metadata.prompt_tokens": 53,
         "honeyhive_metadata.completion_tokens": 12, "honeyhive.session_id": "s"},
        ("openai", MINI, 53, 0, 0, 12, "s", ""),
    ),
    "Respan": (
        "chat",
        {"respan.entity.log_type": "chat", "gen_ai.request.model": MINI, "gen_ai.usage.prompt_tokens": 54,
         "gen_ai.usage.completion_tokens": 13, "respan.threads.thread_identifier": "t",
         "respan.customer_params.customer_identifier": "u"},
        ("openai", MINI, 54, 0, 0, 13, "t", "u"),
    ),
    "LiveKit: what the cache served stands in its metrics alone": (
        "llm_request",
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": MINI, "gen_ai.usage.input_tokens": 560,
         "gen_ai.usage.output_tokens": 15,
         "lk.llm_metrics": '{"type": "llm_metrics", "ttft": 0.2, "prompt_tokens": 560, "prompt_cached_tokens": 512,'
         ' "completion_tokens": 15, "total_tokens": 575, "metadata": {"model_name": "gpt-4o-mini"}}'},
        ("openai", MINI, 560, 512, 0, 15, "", ""),
    ),
    "LiveKit: a realtime session's turn": (
        "realtime",
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-realtime-preview",
         "lk.realtime_model_metrics": '{"input_tokens": 300, "output_tokens": 90, "total_tokens": 390,'
         ' "input_token_details": {"audio_tokens": 100, "text_tokens": 200, "cached_tokens": 64},'
         ' "output_token_details": {"audio_tokens": 70, "text_tokens": 20}}'},
        ("openai", "gpt-4o-realtime-preview", 300, 64, 0, 90, "", ""),
    ),
    "numbers of tokens": (
        "infer",
        {"llm.model": MINI, "llm.num_input_tokens": 56, "llm.num_output_tokens": 15},
        ("openai", MINI, 56, 0, 0, 15, "", ""),
    ),
    "llama.cpp's words": (
        "completion",
        {"llm.model": "llama3.2", "llm.provider": "ollama", "tokens_evaluated": 57, "tokens_predicted": 16},
        ("ollama", "llama3.2", 57, 0, 0, 16, "", ""),
    ),
    "a total alone is a call whose parts nobody knows": (
        "llm.invoke",
        {"llm.model": "gpt-4.1", "llm.tokens.total": 58},
        ("openai", "gpt-4.1", 0, 0, 0, 0, "", ""),
    ),
    "Coze": (
        "llmcall",
        {"cozeloop.span_type": "model", "model_name": "gpt-4o", "model_provider": "openai", "input_tokens": 55,
         "output_tokens": 14},
        ("openai", "gpt-4o", 55, 0, 0, 14, "", ""),
    ),
    "goose: the model in its configuration": (
        "complete_with_model",
        {"model_config": '{"model_name": "claude-sonnet-4-5", "context_limit": 200000}', "input_tokens": 60,
         "output_tokens": 17, "total_tokens": 77},
        ("anthropic", "claude-sonnet-4-5", 60, 0, 0, 17, "", ""),
    ),
    "TrueFoundry's gateway": (
        "Model: gpt-4o-mini",
        {"tfy.span_type": "Model", "tfy.model.name": MINI, "tfy.model.id": MINI, "tfy.model.metric.input_tokens": 61,
         "tfy.model.metric.output_tokens": 18, "tfy.request.conversation_id": "t",
         "tfy.request.created_by_subject": "u"},
        ("openai", MINI, 61, 0, 0, 18, "t", "u"),
    ),
    "a model beside an id, wherever it stands": (
        "infer",
        {"acme.call.id": "x", "acme.call.input_tokens": 62, "acme.call.output_tokens": 19, "acme.engine.model": MINI},
        ("openai", MINI, 62, 0, 0, 19, "", ""),
    ),
    "usage.input": (
        "infer",
        {"model.name": MINI, "model.provider": "openai", "usage.input": 63, "usage.output": 20},
        ("openai", MINI, 63, 0, 0, 20, "", ""),
    ),
    "usage within tokens": (
        "infer",
        {"llm.model": MINI, "token_usage.prompt": 64, "token_usage.completion": 21, "llm.session_id": "s",
         "app.user_id": "u"},
        ("openai", MINI, 64, 0, 0, 21, "s", "u"),
    ),
    "usage before the word": (
        "infer",
        {"llm_model": MINI, "usage_input_tokens": 65, "usage_output_tokens": 22},
        ("openai", MINI, 65, 0, 0, 22, "", ""),
    ),
    "parts under llm.usage": (
        "llm:generateText",
        {"span.type": "llm", "llm.model": MINI, "llm.provider": "openai.responses", "llm.usage.prompt_tokens": 166,
         "llm.usage.completion_tokens": 23, "llm.usage.cache_read_tokens": 128},
        ("openai", MINI, 166, 128, 0, 23, "", ""),
    ),
    "a provider in further keys": (
        "chat",
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "llama-3.3-70b-versatile",
         "gen_ai.request.provider": "groq", "gen_ai.usage.input_tokens": 67, "gen_ai.usage.output_tokens": 24},
        ("groq", "llama-3.3-70b-versatile", 67, 0, 0, 24, "", ""),
    ),
    "Micrometer's word for none": (
        "chat gpt-4o",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
         "gen_ai.response.model": "none", "gen_ai.usage.input_tokens": "68", "gen_ai.usage.output_tokens": "25"},
        ("openai", "gpt-4o", 68, 0, 0, 25, "", ""),
    ),
    "a model that its library does not know": (
        "chat",
        {"gen_ai.operation.name": "chat", "gen_ai.system": "GOOGLE_AI_GEMINI",
         "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.response.model": "unknown",
         "gen_ai.usage.input_tokens": 69, "gen_ai.usage.output_tokens": 26},
        ("gcp.gemini", "gemini-2.5-flash", 69, 0, 0, 26, "", ""),
    ),
    "Vercel's gateway": (
        "chat anthropic/claude-sonnet-4-5",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
         "gen_ai.request.model": "anthropic/claude-sonnet-4-5", "gen_ai.usage.input_tokens": 470,
         "gen_ai.usage.output_tokens": 27, "gen_ai.usage.cache_read.input_tokens": 400,
         "vercel.ai_gateway.user.id": "u"},
        ("anthropic", "claude-sonnet-4-5", 470, 400, 0, 27, "", "u"),
    ),
    "Bifrost": (
        "llm.call",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": MINI,
         "gen_ai.usage.prompt_tokens": 2071, "gen_ai.usage.completion_tokens": 28,
         "gen_ai.usage.prompt_token_details.cached_read_tokens": 1024, "bifrost.user.id": "u"},
        ("openai", MINI, 2071, 1024, 0, 28, "", "u"),
    ),
    "Datadog's tags": (
        "openai.request",
        {"_ml_obs.span.kind": "llm", "_ml_obs.model_name": MINI, "_ml_obs.model_provider": "openai",
         "_ml_obs.session_id": "s", "_ml_obs.metrics.input_tokens": 72, "_ml_obs.metrics.output_tokens": 29},
        ("openai", MINI, 72, 0, 0, 29, "s", ""),
    ),
    "tokens of an embedding": (
        "embed.documents",
        {"embedding.model": "text-embedding-3-small", "embedding.tokens": 73},
        ("openai", "text-embedding-3-small", 73, 0, 0, 0, "", ""),
    ),
    "counts of tokens": (
        "infer",
        {"llm.model": MINI, "llm.token_count.input": 74, "llm.token_count.output": 30},
        ("openai", MINI, 74, 0, 0, 30, "", ""),
    ),
    "tokens and their count": (
        "infer",
        {"model": MINI, "tokens.input_count": 75, "tokens.output_count": 31},
        ("openai", MINI, 75, 0, 0, 31, "", ""),
    ),
    "a model alone is a call without usage": (
        "llm.generate",
        {"llm.model": "gpt-4.1-mini", "llm.prompt": "?", "llm.response": "!"},
        ("openai", "gpt-4.1-mini", 0, 0, 0, 0, "", ""),
    ),
}  # fmt: skip
# Runs of tools, whose spans no vocabulary of one key tells.
TOOLS: dict[str, dict[str, Any]] = {
    "tool_call weather": {"gen_ai.operation.name": "framework", "spring.ai.kind": "tool_call",
                          "spring.ai.tool.definition.name": "weather"},
    "tool_call": {"gen_ai.operation.name": "tool_call", "gen_ai.tool.name": "weather"},
    "run_tool": {"gen_ai.tool.name": "weather"},
    "weather.now": {"tool.name": "weather"},
    "tool: list_files": {"tool.name": "list_files"},
    "weather": {"genkit:type": "action", "genkit:metadata:subtype": "tool.v2", "genkit:name": "weather"},
}  # fmt: skip
_ANSWER = '{"id": "chatcmpl-1", "model": "gpt-4o", "usage": {"prompt_tokens": 100, "completion_tokens": 20}}'
# No calls: counts that are limits or estimates, sums without a model, answers that databases or queues were given.
OTHERS: dict[str, dict[str, Any]] = {
    "check_budget": {"model": MINI, "budget.tokens.total": 9, "max_tokens": 1000},
    "count_tokens": {"model": MINI, "tokens.prompt": 1000},
    "session": {"tokens_in": 30, "tokens_out": 10},
    "render_prompt": {"llm.model": MINI},
    "meter": {"usage.input": 30, "usage.output": 10},
    "list_tools": {"gen_ai.tool.name": "weather"},
    "haystack.component.run": {
        "haystack.component.type": "AnswerBuilder",
        "haystack.component.output": f'{{"answers": [{{"data": "hi", "meta": {_ANSWER}}}]}}',
    },
    "SET": {"db.system": "redis", "db.statement": f"SET answers:1 {_ANSWER}"},
    "INSERT": {"db.system.name": "postgresql", "db.query.text": f"INSERT INTO answers VALUES ('{_ANSWER}')"},
    "usage publish": {"messaging.system": "kafka", "messaging.message.body": _ANSWER},
}
_CALLS = """
SELECT trace_id, provider, model, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens,
       conversation_id, user_id, cost_state
FROM ledger WHERE kind = 'call' ORDER BY trace_id"""


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("hand") / "data", roles=WITHOUT_CHAT).start()
    yield system
    assert system.stop() == 0


def test_they_are_counted_as_they_are(system: System) -> None:
    spans = [*((name, attributes) for name, attributes, _ in CALLS.values()), *OTHERS.items()]
    for number, (name, attributes) in enumerate(spans, 1):
        body = trace_request({"name": name, "attributes": attributes}, trace_id=trace_id(number)).SerializeToString()
        sent = system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type="application/x-protobuf")
        assert sent[0] == 200
    system.flush()
    found = {row[0]: tuple(row[1:]) for row in system.post("/v1/sql", {"query": _CALLS})["data"]}
    wanted = {
        trace_id(number).hex(): (*expected, "unpriced" if expected[0] == "ollama" or not expected[2] else "computed")
        for number, (_, _, expected) in enumerate(CALLS.values(), 1)
    }
    assert found == wanted


def test_runs_of_tools_are_counted(system: System) -> None:
    for number, (name, attributes) in enumerate(TOOLS.items(), 500):
        system.export(
            trace_request({"name": name, "attributes": attributes}, trace_id=trace_id(number)).SerializeToString()
        )
    rows = system.post("/v1/sql", {"query": "SELECT trace_id, tool FROM ledger WHERE kind = 'tool'"})["data"]
    named = ["list_files" if "list" in name else "weather" for name in TOOLS]
    assert sorted(rows) == [[trace_id(number).hex(), tool] for number, tool in enumerate(named, 500)]


# What an application writes on a span around the two calls below it, each of which is instrumented.
AROUND: dict[str, dict[str, Any]] = {
    "sums": {"llm.model": MINI, "llm.tokens.input": 33, "llm.tokens.output": 9},
    "sums under words of usage": {"model": MINI, "llm.usage.prompt_tokens": 33, "llm.usage.completion_tokens": 9},
    "a total": {"llm.model": MINI, "llm.tokens.total": 42},
    "a cost": {"llm.model": MINI, "llm.cost_usd": 0.02},
    "a limit": {"llm.model": MINI, "llm.max_tokens": 500},
    "a provider": {"llm.model": MINI, "llm.provider": "openai"},
}


@pytest.mark.parametrize("number", range(1, len(AROUND) + 1), ids=list(AROUND))
def test_a_span_around_the_calls_that_it_sums_up_is_none(system: System, number: int) -> None:
    calls = [
        {
            "name": "chat",
            "span_id": bytes([0, *[number] * 6, part]),
            "parent_span_id": bytes([9, *[number] * 7]),
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": MINI,
                "gen_ai.usage.input_tokens": 11 * part,
                "gen_ai.usage.output_tokens": 3 * part,
            },
        }
        for part in (1, 2)
    ]
    around = {"name": "answer", "span_id": bytes([9, *[number] * 7]), "attributes": list(AROUND.values())[number - 1]}
    system.export(trace_request(around, *calls, trace_id=trace_id(1000 + number)).SerializeToString())
    rows = system.post("/v1/sql", {"query": _CALLS})["data"]
    assert sorted(row[3] for row in rows if row[0] == trace_id(1000 + number).hex()) == [11, 22]


@pytest.mark.parametrize("word", [*INPUT_WORDS, *OUTPUT_WORDS])
def test_every_word_that_is_searched_for_is_read(word: str) -> None:
    side = "input" if word in INPUT_WORDS else "output"
    assert word in tables().objects["usage"]["facts"][side]
