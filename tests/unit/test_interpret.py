"""Reading one span: dialects that no capture shows, figures that mean different things, and values that mean nothing.

The attributes are those that the libraries' own sources write.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.ledger.dialects import EVENT, RESOURCE, STATUS_MESSAGE, tables
from spanledger.ledger.figures import MAX_COUNT
from spanledger.ledger.interpret import Interpreter, interpreter
from spanledger.ledger.reading import lexicon

START = 1_795_000_000_000_000_000
SECOND = 10**9
CLAUDE = "claude-sonnet-4-5-20250929"
CACHED = {"input_tokens": 1200, "cache_read_input_tokens": 1024, "cache_write_input_tokens": 64, "output_tokens": 57}


def read(attributes: dict[str, Any], status: str = "ok", duration_ns: int = SECOND) -> dict[str, Any]:
    """The canonical columns of a span with these attributes; "@scope" and "@name" are the span's own."""
    attributes = {"@scope": "app", "@name": "call"} | attributes
    scope, name = attributes.pop("@scope"), attributes.pop("@name")
    facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    span = {"facts": facts, "scope": scope, "span_name": name, "status": status}
    times = {"started_at_ns": START, "duration_ns": duration_ns}
    return dict(interpreter().columns({**span, **times, "anomalies": []}))


def said(columns: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: columns.get(name) for name in names}


def differing(columns: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {name: columns.get(name) for name, value in expected.items() if columns.get(name) != value}


LANGCHAIN_USAGE = {
    "input_tokens": 1200,
    "output_tokens": 57,
    "total_tokens": 1257,
    "input_token_details": {"cache_read": 1024, "cache_creation": 64},
    "output_token_details": {"reasoning": 9},
}
LANGCHAIN_OUTPUT = {
    "generations": [
        [{"message": {"kwargs": {"usage_metadata": LANGCHAIN_USAGE, "response_metadata": {"id": "msg_01x"}}}}]
    ],
    "llm_output": {},
}

DIALECTS = {
    "langsmith: an OpenAI wrapper, details as a Python dict": (
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.id": "chatcmpl-abc",
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 1257,
            "gen_ai.usage.input_token_details": "{'audio': 0, 'cache_read': 1024}",
            "gen_ai.usage.output_token_details": "{'audio': 0, 'reasoning': 40}",
            "langsmith.metadata.thread_id": "c1",
            "langsmith.metadata.user_id": "u1",
            "langsmith.trace.session_id": "a project, no session",
        },
        {
            "dialect": "langsmith",
            "role": "inference",
            "provider": "openai",
            "input_tokens": 1200,
            "cache_read_input_tokens": 1024,
            "reasoning_output_tokens": 40,
            "output_tokens": 57,
            "response_id": "chatcmpl-abc",
            "conversation_id": "c1",
            "user_id": "u1",
            "anomalies": [],
        },
    ),
    "langsmith: a LangChain run says its cache only in the completion": (
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "langchain",
            "langsmith.metadata.ls_provider": "anthropic",
            "langsmith.metadata.ls_model_name": CLAUDE,
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 1257,
            "gen_ai.completion": LANGCHAIN_OUTPUT,
        },
        {"role": "inference", "provider": "anthropic", "request_model": CLAUDE, "response_id": "msg_01x"}
        | CACHED
        | {"reasoning_output_tokens": 9},
    ),
    "langsmith: a retriever is no embedding, whatever its operation says": (
        {"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings", "gen_ai.system": "langchain"},
        {"role": "retrieval", "provider": ""},
    ),
    "langsmith: a prompt template is no call": (
        {"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"},
        {"role": "other"},
    ),
    "litellm v2: the model behind a proxy's alias": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "my-alias",
            "gen_ai.response.model": "my-alias",
            "litellm.provider.model": f"anthropic/{CLAUDE}",
            "gen_ai.response.id": "chatcmpl-614b344d-3927-44d0-b925-81780edf4920",
            "litellm.call_id": "7822ce24-e419-4cc8-9147-42770bc5ba32",
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.cache_creation.input_tokens": 64,
            "litellm.cost.total": 0.0017382,
            "litellm.request.streaming": True,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.conversation.id": "c1",
            "litellm.end_user.id": "u1",
            "server.address": "api.anthropic.com",
        },
        {
            "dialect": "litellm",
            "role": "inference",
            "provider": "anthropic",
            "request_model": CLAUDE,
            "response_model": "",
            "response_id": "",
            "cost_claim_usd": Decimal("0.0017382"),
            "cost_claim_source": "local",
            "stream": 1,
            "time_to_first_chunk_ns": SECOND // 4,
            "conversation_id": "c1",
            "user_id": "u1",
        }
        | CACHED,
    ),
    "litellm v2: baggage alone makes no call": (
        {"gen_ai.request.model": "gpt-4o", "litellm.provider.model": "openai/gpt-4o", "litellm.metadata.user_id": "u1"},
        {"role": "", "provider": "", "request_model": "", "user_id": "u1"},
    ),
    "litellm v2: a guardrail": (
        {"litellm.guardrail.name": "pii", "litellm.cost.guardrail": 0.001, "gen_ai.request.model": "gpt-4o"},
        {"role": "guardrail", "cost_claim_usd": None},
    ),
    "ai sdk 7: the agent repeats its steps": (
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.agent.name": "support",
            "gen_ai.usage.input_tokens": 300,
            "gen_ai.usage.output_tokens": 30,
            "ai.settings.context.sessionId": "c1",
        },
        {"role": "agent", "agent": "support", "input_tokens": 300, "conversation_id": "c1"},
    ),
    "ai sdk 7: a step is no call": ({"gen_ai.operation.name": "agent_step"}, {"role": "chain"}),
    "ai sdk 5: Anthropic's input leaves out the cache": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": CLAUDE,
            "ai.usage.inputTokens": 112,
            "ai.usage.outputTokens": 57,
            "ai.usage.totalTokens": 169,
            "ai.usage.cachedInputTokens": 1024,
            "ai.response.providerMetadata": {"anthropic": {"cacheCreationInputTokens": 64}},
        },
        {"dialect": "vercel-ai", "role": "inference", "provider": "anthropic", "anomalies": []} | CACHED,
    ),
    "ai sdk 5: OpenAI's input includes the cache": (
        {
            "@name": "ai.streamText.doStream",
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "openai.responses",
            "ai.model.id": "gpt-4o",
            "ai.usage.inputTokens": 1200,
            "ai.usage.outputTokens": 57,
            "ai.usage.cachedInputTokens": 1024,
        },
        {"provider": "openai", "input_tokens": 1200, "cache_read_input_tokens": 1024, "stream": 1, "operation": "chat"},
    ),
    "ai sdk 4: older names": (
        {
            "ai.operationId": "ai.generateObject.doGenerate",
            "gen_ai.system": "google.generative-ai",
            "gen_ai.request.model": "gemini-2.5-flash",
            "ai.usage.promptTokens": 10,
            "ai.usage.completionTokens": 5,
        },
        {"role": "inference", "provider": "gcp.gemini", "input_tokens": 10, "output_tokens": 5},
    ),
    "ai sdk: the outer span": (
        {"ai.operationId": "ai.streamText", "ai.model.provider": "openai.chat", "ai.usage.inputTokens": 10},
        {"role": "agent", "input_tokens": 10},
    ),
    "openllmetry: Bedrock's input leaves out the cache": (
        {
            "@scope": "opentelemetry.instrumentation.bedrock",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gen_ai.usage.input_tokens": 112,
            "gen_ai.usage.output_tokens": 57,
            "gen_ai.usage.total_tokens": 169,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.cache_creation.input_tokens": 64,
        },
        {"provider": "aws.bedrock", "anomalies": []} | CACHED,
    ),
    "openllmetry of 2024": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 15,
            "traceloop.association.properties.thread_id": "c1",
        },
        {"role": "inference", "provider": "openai", "input_tokens": 10, "output_tokens": 5, "conversation_id": "c1"},
    ),
    "langfuse: its own words add up": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": CLAUDE,
            "langfuse.observation.usage_details": {
                "input": 112,
                "output": 57,
                "cache_read_input_tokens": 1024,
                "cache_creation_input_tokens": 64,
            },
        },
        {"provider": "anthropic", "response_model": CLAUDE} | CACHED,
    ),
    "langfuse: unless the total says otherwise": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": {
                "input": 1200,
                "output": 57,
                "total": 1257,
                "input_cached_tokens": 1024,
            },
        },
        {"input_tokens": 1200, "cache_read_input_tokens": 1024, "output_tokens": 57},
    ),
    "a raw usage of Gemini counts thoughts beside the answer": (
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.reasoning.output_tokens": 30,
            "gen_ai.usage.total_tokens": 150,
        },
        {"output_tokens": 50, "reasoning_output_tokens": 30, "anomalies": ["inferred:output_excludes_reasoning"]},
    ),
    "a gateway of unknown make is its host": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.openai.api_base": "https://llm.example.org/v1/",
            "gen_ai.request.model": "qwen3-32b",
        },
        {"provider": "llm.example.org", "server_address": "llm.example.org"},
    ),
    "a gateway that everybody knows": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "server.address": "openrouter.ai",
            "gen_ai.request.model": "anthropic/claude-sonnet-4.5",
        },
        {"provider": "openrouter", "request_model": "anthropic/claude-sonnet-4.5"},
    ),
    "azure under OpenAI's name": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "server.address": "acme.openai.azure.com",
            "gen_ai.request.model": "gpt-4o",
        },
        {"provider": "azure.ai.openai"},
    ),
    "a proxy on the same machine proves nothing": (
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "server.address": "127.0.0.1"},
        {"provider": "openai"},
    ),
    "semantic kernel": (
        {
            "gen_ai.operation.name": "chat.completions",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 10,
        },
        {"role": "inference", "operation": "chat"},
    ),
    "spring ai: the client around the call": (
        {"spring.ai.kind": "chat_client", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai"},
        {"role": "chain", "provider": ""},
    ),
    "google adk: usage without an operation": (
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 10,
            "gcp.vertex.agent.session_id": "c1",
        },
        {"role": "inference", "provider": "gcp.vertex_ai", "conversation_id": "c1"},
    ),
    "mcp: a tool call": (
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "get_weather"},
        {"role": "tool", "tool": "get_weather"},
    ),
    "openrouter says what it billed": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "openrouter",
            "llm.model_name": "openai/gpt-4o",
            "output.value": {
                "id": "gen-123",
                "object": "chat.completion",
                "model": "openai/gpt-4o",
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.00042},
            },
        },
        {
            "provider": "openrouter",
            "response_id": "gen-123",
            "input_tokens": 10,
            "cost_claim_usd": Decimal("0.00042"),
            "cost_claim_source": "provider",
        },
    ),
    "a plain HTTP span stays almost empty": (
        {"http.request.method": "POST", "server.address": "api.openai.com", "session.id": "c1", "user.id": "u1"},
        {"role": "", "dialect": "", "provider": "", "server_address": "", "conversation_id": "c1", "user_id": "u1"},
    ),
}


@pytest.mark.parametrize(("attributes", "expected"), DIALECTS.values(), ids=list(DIALECTS))
def test_a_dialect_says(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert differing(read(attributes), expected) == {}


CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}

BAD_COUNTS = {
    "-1": "negative:input_tokens",
    "12.5": "fractional:input_tokens",
    "9223372036854775808": "huge:input_tokens",
    "1e400": "huge:input_tokens",
    "many": "text:input_tokens",
    "NaN": "nan:input_tokens",
}


@pytest.mark.parametrize(("value", "reason"), BAD_COUNTS.items())
def test_a_count_that_cannot_be_is_unknown_and_says_why(value: str, reason: str) -> None:
    columns = read(CALL | {"gen_ai.usage.input_tokens": value, "gen_ai.usage.output_tokens": "5"})
    assert said(columns, "input_tokens", "output_tokens", "anomalies") == {
        "input_tokens": None,
        "output_tokens": 5,
        "anomalies": [reason],
    }


@pytest.mark.parametrize(("value", "count"), [("12", 12), ("12.0", 12), ("1e3", 1000)])
def test_a_whole_number_counts_however_it_is_written(value: str, count: int) -> None:
    columns = read(CALL | {"gen_ai.usage.input_tokens": value})
    assert said(columns, "input_tokens", "anomalies") == {"input_tokens": count, "anomalies": []}


BAD_CLAIMS = {
    "-0.5": "negative:cost",
    "NaN": "nan:cost",
    "inf": "nan:cost",
    "1e999999999": "nan:cost",
    "12345678901234.5": "huge:cost",
    "cheap": "text:cost",
}


@pytest.mark.parametrize(("value", "reason"), BAD_CLAIMS.items())
def test_a_claim_that_cannot_be_is_none_and_says_why(value: str, reason: str) -> None:
    columns = read(CALL | {"gen_ai.usage.cost": value})
    assert said(columns, "cost_claim_usd", "anomalies") == {"cost_claim_usd": None, "anomalies": [reason]}


def test_a_claim_of_nothing_is_no_claim_unless_the_provider_makes_it() -> None:
    assert read(CALL | {"gen_ai.usage.cost": "0"})["cost_claim_usd"] is None
    free = read(CALL | {"gen_ai.usage.cost.amount": "0", "gen_ai.usage.cost.source": "provider"})
    assert said(free, "cost_claim_usd", "cost_claim_source") == {"cost_claim_usd": 0, "cost_claim_source": "provider"}


def test_a_claim_keeps_what_a_float_meant() -> None:
    assert read(CALL | {"gen_ai.usage.cost": "2.4449999999999998e-05"})["cost_claim_usd"] == Decimal("0.00002445")


def test_a_part_larger_than_its_whole_moves_nothing() -> None:
    columns = read(
        CALL
        | {
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cache_read.input_tokens": 500,
            "gen_ai.usage.reasoning.output_tokens": 11,
        }
    )
    assert (
        differing(
            columns,
            {
                "input_tokens": 100,
                "output_tokens": 10,
                "cache_read_input_tokens": None,
                "reasoning_output_tokens": None,
                "anomalies": ["contradiction:cache_read>input", "contradiction:reasoning>output"],
            },
        )
        == {}
    )


def test_a_total_that_does_not_add_up_is_named_and_not_believed() -> None:
    usage = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.total_tokens": 999}
    columns = read(CALL | usage)
    assert said(columns, "input_tokens", "output_tokens", "anomalies") == {
        "input_tokens": 100,
        "output_tokens": 10,
        "anomalies": ["contradiction:total_tokens"],
    }


def test_a_total_proves_that_the_input_leaves_out_the_cache() -> None:
    usage = {"gen_ai.usage.input_tokens": 112, "gen_ai.usage.output_tokens": 57, "gen_ai.usage.total_tokens": 1193}
    columns = read(CALL | usage | {"gen_ai.usage.cache_read.input_tokens": 1024})
    assert said(columns, "input_tokens", "anomalies") == {
        "input_tokens": 1136,
        "anomalies": ["inferred:input_excludes_cache"],
    }


def test_a_usage_of_nothing_is_no_usage() -> None:
    columns = read(CALL | {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0})
    assert said(columns, "input_tokens", "output_tokens", "anomalies") == {
        "input_tokens": None,
        "output_tokens": None,
        "anomalies": ["zero:usage"],
    }


def test_a_thread_of_the_operating_system_is_no_conversation() -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    assert read(call | {"thread.id": "31", "thread.name": "main"})["conversation_id"] == ""
    assert read(call | {"thread_id": "31"})["conversation_id"] == "31"


def test_long_ids_are_cut_but_stay_apart() -> None:
    one, other = (read(CALL | {"session.id": "x" * 300 + end})["conversation_id"] for end in "ab")
    assert one != other
    assert max(len(one), len(other)) <= 256
    assert "long:conversation_id" in read({"session.id": "x" * 300})["anomalies"]


@pytest.mark.parametrize(
    ("response_id", "kept"),
    [
        ("chatcmpl-abc", "chatcmpl-abc"),
        ("lc_run--01a1", ""),
        ("run-01a1", ""),
        (
            "resp_bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOm9wZW5haTttb2RlbF9pZDpOb25lO3Jlc3BvbnNlX2lkOnJlc3BfYTlhNTZj",
            "resp_a9a56c",
        ),
    ],
)
def test_only_the_providers_own_response_ids_are_kept(response_id: str, kept: str) -> None:
    assert read(CALL | {"gen_ai.response.id": response_id})["response_id"] == kept


def test_a_failed_call_that_names_another_model_than_it_asked_for_had_an_answer() -> None:
    asked = {"llm.invocation_parameters": '{"model": "gpt-4o-mini"}', "openinference.span.kind": "LLM"}
    answered = read({**asked, "llm.model_name": "gpt-4o-mini-2024-07-18"}, status="error")
    refused = read({**asked, "llm.model_name": "gpt-4o-mini"}, status="error")
    assert (answered["response_model"], refused["response_model"]) == ("gpt-4o-mini-2024-07-18", "")


def test_a_stream_that_the_client_ended_was_served() -> None:
    columns = read(CALL | {"error.type": "asyncio.exceptions.CancelledError"}, status="error")
    assert said(columns, "error_type", "finish_reason") == {"error_type": "CancelledError", "finish_reason": "aborted"}


def test_the_first_token_counts_only_within_the_span() -> None:
    stream = CALL | {"gen_ai.request.stream": True}
    assert read(stream | {"gen_ai.server.time_to_first_token": 0.5})["time_to_first_chunk_ns"] == SECOND // 2
    strands = stream | {"@scope": "strands.telemetry.tracer", "gen_ai.server.time_to_first_token": 500}
    assert read(strands)["time_to_first_chunk_ns"] == SECOND // 2
    assert read(stream | {"gen_ai.server.time_to_first_token": 5000})["time_to_first_chunk_ns"] is None


KEYS = [
    *(key for key in tables().keys if "*" not in key),
    *(RESOURCE + "user.id", RESOURCE + "session.id", EVENT + "exception.type", EVENT + "first_token_ns"),
    *(STATUS_MESSAGE, "llm.openai.usage", "llm.None.id", "gen_ai.completion.0.function_call.name"),
]
NASTY = [
    *("-1", "12.5", "NaN", "inf", "-inf", "1e999", "9" * 30, "9" * 5000, "0x10", "1_000", "٣", "sNaN", "1e999999999"),
    *("12345678901234.5", "1e-400", "true", "{}", "[]", "[", "{", '{"', '"', '""', '"\\ud800"', "x" * 300, "\x00"),
    *('{"usage":{"prompt_tokens":' + "9" * 400 + "}}", '{"input_tokens":"x","cache_read_input_tokens":1e400}'),
    *("{'a': 1}", "{'x': " * 50, "[" * 3000, '{"a":' * 3000, '{"generations": [[{"message": 1}]]}'),
    *(
        '{"id": 5, "type": "message", "model": {}}',
        '[{"parts": 1}, "tool_call", {"parts": [1, {"type": "tool_call"}]}]',
    ),
    *("0001-01-01", "9999-12-31T23:59:59.999999+14:00", "https://[::1", "http://a:b:c/", "resp_" + "A" * 100),
    *("chat", "LLM", "embedding", "ai.generateText.doGenerate"),
]
COUNTS = [*CACHED, "reasoning_output_tokens", "audio_input_tokens", "image_output_tokens"]


@given(
    facts=st.dictionaries(
        st.sampled_from(KEYS), st.one_of(st.sampled_from(NASTY), st.text(), st.floats().map(repr)), max_size=12
    ),
    scope=st.sampled_from(["", "openlit.instrumentation.openai", "litellm", "openinference.instrumentation.openai"]),
    name=st.sampled_from(["", "chat", "chat x", "raw_gen_ai_request", "ai.streamText.doStream"]),
    status=st.sampled_from(["ok", "error", "unset"]),
    started_at_ns=st.integers(-(2**62), 2**62),
    duration_ns=st.integers(0, 2**62),
)
def test_nothing_that_a_sender_invents_raises_or_makes_a_figure(
    facts: dict[str, str], scope: str, name: str, status: str, started_at_ns: int, duration_ns: int
) -> None:
    span = {"facts": facts, "scope": scope, "span_name": name, "status": status, "anomalies": []}
    columns = interpreter().columns(span | {"started_at_ns": started_at_ns, "duration_ns": duration_ns})
    for count in COUNTS:
        figure = columns.get(count)
        assert figure is None or 0 <= figure <= 3 * MAX_COUNT
    claim = columns["cost_claim_usd"]
    assert claim is None or 0 <= claim < MAX_COUNT
    assert all(len(columns[name]) <= 256 for name in ("conversation_id", "user_id", "message_id", "correlation_id"))


VALUES = st.one_of(st.sampled_from(NASTY), st.integers(0, 5000).map(str), st.text(max_size=8))


@given(
    facts=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=10),
    others=st.lists(VALUES, min_size=10, max_size=10),
    changed=st.lists(st.booleans(), min_size=10, max_size=10),
    scope=st.sampled_from(["", "openlit.instrumentation.openai", "litellm", "openinference.instrumentation.openai"]),
    name=st.sampled_from(["chat x", "raw_gen_ai_request", "ai.streamText.doStream"]),
)
def test_what_was_read_before_does_not_change_what_a_span_says(
    facts: dict[str, str], others: list[str], changed: list[bool], scope: str, name: str
) -> None:
    span = {"scope": scope, "span_name": name, "status": "unset", "anomalies": []}
    span |= {"started_at_ns": START, "duration_ns": SECOND}
    second = {
        key: other if is_changed else value
        for (key, value), other, is_changed in zip(facts.items(), others, changed, strict=False)
    }
    experienced = Interpreter(lexicon())
    experienced.columns(span | {"facts": facts})
    assert experienced.columns(span | {"facts": second}) == Interpreter(lexicon()).columns(span | {"facts": second})
