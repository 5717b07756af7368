"""Reading one span: dialects that no capture shows, figures that mean different things, and values that mean nothing.

The attributes are those that the libraries' own sources write.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialect_examples import CACHED, DIALECTS
from dialect_kinds import KINDS
from dialect_makers import MAKERS
from dialect_siblings import SIBLINGS
from dialect_strangers import STRANGERS
from spanledger.dialects.interpreter import Interpreter, interpreter
from spanledger.dialects.lexicon import lexicon
from spanledger.dialects.tables import EVENT, RESOURCE, STATUS_MESSAGE, tables
from spanledger.dialects.usage import MAX_COUNT

WRONG_ONCE = KINDS | MAKERS | SIBLINGS | {f"{name} (stranger)": example for name, example in STRANGERS.items()}
START = 1_795_000_000_000_000_000
SECOND = 10**9


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


@pytest.mark.parametrize(("attributes", "expected"), DIALECTS.values(), ids=list(DIALECTS))
def test_a_dialect_says(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert differing(read(attributes), expected) == {}


@pytest.mark.parametrize(("attributes", "expected"), WRONG_ONCE.values(), ids=list(WRONG_ONCE))
def test_a_kind_that_came_out_wrong_once(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    attributes = dict(attributes)
    assert differing(read(attributes, attributes.pop("@status", "ok")), expected) == {}


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


MOVED = {
    "langchain": {
        "openinference.span.kind": "LLM",
        "output.value": {"generations": [[{"message": {"kwargs": {"usage_metadata": {"input_tokens": 5}}}}]]},
    },
    "usage object": {
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.chat.tokenUsage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    },
    "anthropic's own answer": {
        "openinference.span.kind": "LLM",
        "output.value": {"type": "message", "model": "claude-x", "id": "msg_1", "usage": {"input_tokens": 9}},
    },
    "tools": {
        "gen_ai.operation.name": "chat",
        "gen_ai.output.messages": [{"parts": [{"type": "tool_call", "name": "search"}]}],
    },
}


@pytest.mark.parametrize("attributes", MOVED.values(), ids=list(MOVED))
@pytest.mark.parametrize("others", MOVED.values(), ids=list(MOVED))
def test_what_was_read_before_changes_nothing(attributes: dict[str, Any], others: dict[str, Any]) -> None:
    """Spans of one kind are remembered; what each says by itself is not."""
    reader = Interpreter(lexicon())

    def by(one: Interpreter, said_: dict[str, Any]) -> dict[str, Any]:
        facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said_.items()}
        span = {"facts": facts, "scope": "app", "span_name": "call", "status": "ok", "anomalies": []}
        return one.columns(span | {"started_at_ns": START, "duration_ns": SECOND})

    for number in range(3):
        other = others | {"gen_ai.usage.output_tokens": str(number), "session.id": f"conversation-{number}"}
        assert by(reader, other) == by(Interpreter(lexicon()), other)
        assert by(reader, attributes) == by(Interpreter(lexicon()), attributes)
